//! The table of signatures: each is there for a reason.

use jitcall::Signature;

use super::compile::Dialect;
use super::generate::has_wide_vectors;
use super::{Case, in_windows_convention};

/// Where a row does not apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Except {
    /// It does everywhere.
    Nowhere,
    /// The machine has no vector registers of 32 bytes.
    NarrowVectors,
    /// clang differs from gcc, whose rule is ours.
    Clang,
    /// Both of these.
    Both,
}

use Except::{Both, Clang, NarrowVectors, Nowhere};

/// Definitions that rows use.
const COMMON: &str = "\
typedef __int128 i128;
typedef float v8 __attribute__((vector_size(8)));
typedef float v16 __attribute__((vector_size(16)));
typedef struct { int a; } i1;
typedef struct { long a, b; } l2;
typedef struct { long a, b, c; } l3;
typedef struct { long a; double b; } ld;
typedef struct { double a; long b; } dl;
typedef struct { float a; } f1;
typedef struct { float a, b; } f2;
typedef struct { float a, b, c; } f3;
typedef struct { float a, b, c, d; } f4;
typedef struct { float a, b, c, d, e; } f5;
typedef struct { double a; } d1;
typedef struct { double a, b; } d2;
typedef struct { double a, b, c; } d3;
typedef struct { double a, b, c, d; } d4;
typedef struct { double a, b, c, d, e; } d5;
typedef struct { char a[17]; } c17;
typedef struct { char a[3]; } c3;
typedef double v32 __attribute__((vector_size(32)));
typedef struct {} empty;
";

/// What a C programmer would write, and why it is in the table. `...` stands before variadic arguments.
const ROWS: &[(&str, Except, &str)] = &[
    ("void f(void)", Nowhere, "nothing at all"),
    ("int f(void)", Nowhere, "a result only"),
    ("double f(void)", Nowhere, "a vector result only"),
    ("_Bool f(_Bool, _Bool)", Nowhere, "booleans are one byte, 0 or 1"),
    ("signed char f(signed char, unsigned char, char)", Nowhere, "bytes are extended by their own sign"),
    ("short f(short, unsigned short)", Nowhere, "halves are extended by their own sign"),
    ("unsigned f(int, unsigned)", Nowhere, "words"),
    ("long f(long, unsigned long, long long, unsigned long long, void *)", Nowhere, "double words"),
    ("__int128 f(__int128, unsigned __int128)", Nowhere, "two registers each"),
    ("wchar_t f(wchar_t)", Nowhere, "signed on x86_64, unsigned on AArch64"),
    ("int f(int, int, int, int, int, int)", Nowhere, "all general registers of System V"),
    ("int f(int, int, int, int, int, int, int)", Nowhere, "one word on the stack of System V"),
    ("int f(int, int, int, int, int, int, int, int)", Nowhere, "all general registers of AAPCS64; two words of stack"),
    ("int f(int, int, int, int, int, int, int, int, int, int, int)", Nowhere, "stack on both"),
    (
        "int f(long, long, long, long, long, long, long, long, signed char, short, int, unsigned char, _Bool)",
        Nowhere,
        "narrow integers on the stack are extended too",
    ),
    ("double f(double, double, double, double, double, double, double, double)", Nowhere, "all vector registers"),
    (
        "double f(double, double, double, double, double, double, double, double, double, float, _Float16)",
        Nowhere,
        "floating values on the stack",
    ),
    ("float f(float, double, _Float16)", Nowhere, "each width of floating value"),
    ("int f(int, double, long, float, char *, double, int, long)", Nowhere, "integers and floating values mixed"),
    (
        "double f(int, double, int, double, int, double, int, double, int, double, int, double, int, double, int, \
         double, int, double, int, double)",
        Nowhere,
        "both kinds of register run out",
    ),
    ("long double f(long double)", Nowhere, "x87: memory in, st0 out; binary128: a vector register"),
    ("long double f(int, long double, int, long double, double)", Nowhere, "16-byte alignment on the stack"),
    (
        "long double f(int, int, int, int, int, int, int, long double, int)",
        Nowhere,
        "a gap in the argument area before a long double",
    ),
    ("float _Complex f(float _Complex)", Nowhere, "both parts in one register of System V"),
    ("double _Complex f(double _Complex, double)", Nowhere, "a register for each part"),
    ("long double _Complex f(long double _Complex)", Nowhere, "COMPLEX_X87"),
    (
        "double _Complex f(double, double, double, double, double, double, double, double _Complex, double)",
        Nowhere,
        "a complex value that finds one register only goes to the stack, and what follows does not take that register \
         on AArch64 (C.3)",
    ),
    ("__int128 f(int, __int128)", Nowhere, "an even register pair on AArch64 (C.10)"),
    ("__int128 f(int, int, int, int, int, __int128, int)", Nowhere, "INTEGER pairs are not split (psABI 3.2.3)"),
    ("__int128 f(int, int, int, int, int, int, int, __int128, int)", Nowhere, "nor on AArch64 (C.11, C.13)"),
    ("struct s {char a;}; struct s f(struct s)", Nowhere, "one byte"),
    ("struct s {char a[3];}; struct s f(struct s)", Nowhere, "three bytes: no scalar has them"),
    ("struct s {char a[7];}; struct s f(struct s, struct s)", Nowhere, "seven bytes"),
    ("struct s {char a[8];}; struct s f(struct s)", Nowhere, "a whole eightbyte"),
    ("struct s {char a[9];}; struct s f(struct s)", Nowhere, "two registers, the second with one byte"),
    ("struct s {char a[15];}; struct s f(struct s, int)", Nowhere, "fifteen bytes"),
    ("struct s {char a[16];}; struct s f(struct s)", Nowhere, "the largest in registers"),
    ("struct s {char a[17];}; struct s f(struct s, int)", Nowhere, "MEMORY; by reference on AArch64"),
    ("struct s {long a, b, c;}; struct s f(struct s)", Nowhere, "24 bytes in and out"),
    (
        "struct s {long a, b;}; long f(long, long, long, long, long, struct s, long)",
        Nowhere,
        "no split; later ones fit",
    ),
    (
        "struct s {long a, b;}; long f(long, long, long, long, long, long, long, struct s, long)",
        Nowhere,
        "on AArch64 no later one goes to a register (C.13)",
    ),
    ("struct s {int a; float b;}; struct s f(struct s)", Nowhere, "INTEGER wins within an eightbyte (rule 4d)"),
    ("struct s {float a; int b;}; struct s f(struct s)", Nowhere, "in either order"),
    ("struct s {float a, b;}; struct s f(struct s)", Nowhere, "two floats in one register of System V"),
    ("struct s {float a, b, c;}; struct s f(struct s)", Nowhere, "SSE and half of SSE; an HFA of three"),
    ("struct s {float a, b, c, d;}; struct s f(struct s)", Nowhere, "SSE, SSE; an HFA of four"),
    ("struct s {float a, b, c, d, e;}; struct s f(struct s)", Nowhere, "too many for an HFA"),
    ("struct s {double a; long b;}; struct s f(struct s)", Nowhere, "SSE, INTEGER: xmm0 and rax"),
    ("struct s {long a; double b;}; struct s f(struct s)", Nowhere, "INTEGER, SSE: rax and xmm0"),
    ("struct s {double a; int b;}; struct s f(struct s)", Nowhere, "SSE and four bytes of INTEGER"),
    ("struct s {int a; double b;}; struct s f(struct s)", Nowhere, "padding inside"),
    ("struct s {double a;}; struct s f(struct s)", Nowhere, "a struct of one double"),
    ("struct s {double a, b;}; struct s f(struct s, struct s)", Nowhere, "a point"),
    ("struct s {double a, b, c;}; struct s f(struct s)", Nowhere, "MEMORY; an HFA on AArch64"),
    ("struct s {double a, b, c, d;}; struct s f(struct s, struct s)", Nowhere, "an HFA of four doubles"),
    ("struct s {double a, b, c, d, e;}; struct s f(struct s)", Nowhere, "by reference, result by x8"),
    ("struct s {_Float16 a;}; struct s f(struct s)", Nowhere, "an HFA of one half"),
    ("struct s {_Float16 a, b, c;}; struct s f(struct s)", Nowhere, "halves share an eightbyte"),
    ("struct s {_Float16 a[4];}; struct s f(struct s, _Float16)", Nowhere, "an array of halves"),
    ("struct s {_Float16 a[5];}; struct s f(struct s)", Nowhere, "too many for an HFA, and two eightbytes"),
    ("struct s {long double a;}; struct s f(struct s)", Nowhere, "X87, X87UP"),
    ("struct s {long double a, b;}; struct s f(struct s)", Nowhere, "MEMORY by size; an HFA of quads"),
    ("union u {long double a; int b;}; union u f(union u)", Nowhere, "X87UP after INTEGER is MEMORY (rule 5b)"),
    (
        "union u {union {int a; long double b;} c; struct {int d[3];} e;}; union u f(union u)",
        Nowhere,
        "and so it is in a nested union, before the enclosing one merges (rule 5 ends each classification)",
    ),
    ("union u {long double a; float b;}; union u f(union u)", Nowhere, "X87 and SSE merge to MEMORY (rule 4e)"),
    ("union u {float a; int b;}; union u f(union u)", Nowhere, "members merge as fields do"),
    ("union u {double a; float b[2];}; union u f(union u)", Nowhere, "both SSE; on AArch64 no HFA"),
    ("union u {float a; float b[3];}; union u f(union u)", Nowhere, "an HFA by its largest member"),
    ("union u {char a[16]; double b;}; union u f(union u)", Nowhere, "INTEGER over SSE in one eightbyte"),
    ("struct s {float _Complex a;}; struct s f(struct s)", Nowhere, "complex in a struct"),
    (
        "struct s {float a; float _Complex b;}; struct s f(struct s)",
        Nowhere,
        "a complex value over an eightbyte's edge",
    ),
    ("struct s {double _Complex a; double b;}; struct s f(struct s)", Nowhere, "an HFA of three through complex"),
    ("struct s {long double _Complex a;}; struct s f(struct s)", Nowhere, "MEMORY: more than two eightbytes"),
    ("struct s {struct {float a, b;} c; float d;}; struct s f(struct s)", Nowhere, "a nested HFA"),
    ("struct s {struct {char a; float b;} c[1]; short d;}; struct s f(struct s)", Nowhere, "nested, mixed"),
    (
        "struct s {double a, b, c, d;}; double f(double, double, double, double, double, struct s, double)",
        Nowhere,
        "NSRN is exhausted by an HFA that does not fit (C.3)",
    ),
    (
        "struct s {float a, b, c;}; float f(double, double, double, double, double, double, struct s, float)",
        Nowhere,
        "the same with an HFA of floats, which the stack holds closely packed",
    ),
    (
        "struct s {__int128 a;}; long f(long, struct s, long)",
        Nowhere,
        "a struct of 16-byte alignment takes an even pair",
    ),
    (
        "struct s {long a; long b;} __attribute__((aligned(16))); long f(long, struct s, long)",
        Nowhere,
        "what `aligned` asks of the whole does not count on AArch64 (natural alignment)",
    ),
    (
        "struct s {long a __attribute__((aligned(16))); long b;}; long f(long, struct s, long)",
        Nowhere,
        "what it asks of a member does",
    ),
    (
        "struct s {int a;} __attribute__((aligned(16))); struct s f(struct s, int)",
        Nowhere,
        "NO_CLASS in the second half",
    ),
    ("struct s {int a;} __attribute__((aligned(32))); struct s f(int, struct s, int)", Nowhere, "32-byte alignment"),
    ("struct s {char a;} __attribute__((aligned(64))); struct s f(int, struct s)", Nowhere, "64-byte alignment"),
    (
        "struct s {char a; int b;} __attribute__((packed)); struct s f(struct s)",
        Nowhere,
        "an unaligned field is MEMORY (rule 1)",
    ),
    ("struct s {short a; char b;} __attribute__((packed)); struct s f(struct s)", Nowhere, "packed, but aligned"),
    ("struct s {char a; double b;} __attribute__((packed)); struct s f(struct s, int)", Nowhere, "nine bytes, packed"),
    ("struct s {float a; double b;} __attribute__((packed)); struct s f(struct s)", Nowhere, "an unaligned double"),
    ("struct s {float a, b;} __attribute__((packed)); struct s f(struct s)", Nowhere, "a packed HFA"),
    ("struct s {int a : 3; int b : 7;}; struct s f(struct s)", Nowhere, "bit-fields in one register"),
    ("struct s {int a : 3; float b;}; struct s f(struct s)", Nowhere, "a bit-field beside a float"),
    ("struct s {float a; int : 0; float b;}; struct s f(struct s)", Clang, "a bit-field of no width takes no class"),
    ("struct s {long a : 40; long b : 40;}; struct s f(struct s)", Nowhere, "bit-fields in two eightbytes"),
    ("struct s {char a : 5; short b : 12; int c : 30;}; struct s f(struct s)", Nowhere, "units of several widths"),
    ("struct s {unsigned a : 1; unsigned b : 31; double c;}; struct s f(struct s)", Nowhere, "INTEGER, SSE"),
    (
        "struct s {int a : 30; int b : 30; int c : 30;} __attribute__((packed)); struct s f(struct s)",
        Nowhere,
        "packed bit-fields over a unit's edge",
    ),
    ("struct s {_Bool a : 1; _Bool b : 1; unsigned char c : 6;}; struct s f(struct s)", Nowhere, "boolean bit-fields"),
    ("struct s {}; struct s f(struct s, int)", Nowhere, "an empty struct takes no place"),
    ("struct s {}; int f(int, struct s, double, struct s, int)", Nowhere, "nor between others"),
    ("union u {int : 0;}; int f(union u, int, int)", Clang, "nor does a union of bit-fields of no width"),
    ("struct s {int a[0];}; int f(struct s, int)", Nowhere, "nor does an array of no length"),
    ("struct s {struct {} a; int b;}; struct s f(struct s)", Nowhere, "an empty struct inside"),
    ("struct s {struct {} a; float b, c;}; struct s f(struct s)", Nowhere, "and inside an HFA"),
    ("struct s {char a[1024];}; struct s f(int, struct s, int)", Nowhere, "a kilobyte by value"),
    ("struct s {char a[4096];}; struct s f(struct s, struct s)", Nowhere, "pages by value"),
    ("struct s {char a[20000];}; int f(int, struct s, double)", Nowhere, "more than a guard page"),
    ("struct s {long a[9];}; struct s f(struct s)", Nowhere, "more than eight eightbytes"),
    ("struct s {char a[24];}; int f(struct s, struct s, struct s, int)", Nowhere, "several in memory"),
    ("struct s {char a[65];}; int f(long, struct s, struct s)", Nowhere, "a block that is no multiple of 8"),
    ("typedef int v __attribute__((vector_size(8))); v f(v, int, v)", Nowhere, "8-byte vectors"),
    ("typedef float v __attribute__((vector_size(8))); v f(v)", Nowhere, "of floats"),
    ("typedef float v __attribute__((vector_size(16))); v f(v, v)", Nowhere, "16-byte vectors"),
    ("typedef char v __attribute__((vector_size(16))); v f(int, v, double)", Nowhere, "of bytes"),
    (
        "typedef double v __attribute__((vector_size(16))); v f(v, v, v, v, v, v, v, v, v)",
        Nowhere,
        "the ninth on the stack",
    ),
    ("typedef float v __attribute__((vector_size(32))); v f(v, v)", NarrowVectors, "ymm; by reference on AArch64"),
    (
        "typedef int v __attribute__((vector_size(32))); v f(int, v, v, v, v, v, v, v, v, v)",
        NarrowVectors,
        "the ninth on the stack, at 32-byte alignment",
    ),
    ("typedef float v __attribute__((vector_size(16))); struct s {v a;}; struct s f(struct s)", Nowhere, "SSE, SSEUP"),
    (
        "typedef float v __attribute__((vector_size(16))); struct s {v a, b;}; struct s f(struct s)",
        Nowhere,
        "MEMORY; an HVA on AArch64",
    ),
    (
        "typedef float v __attribute__((vector_size(32))); struct s {v a;}; struct s f(struct s)",
        NarrowVectors,
        "SSE and three SSEUP: one ymm register",
    ),
    (
        "typedef float v __attribute__((vector_size(16))); union u {v a; float b[4];}; union u f(union u)",
        Nowhere,
        "SSEUP and SSE merge to SSE; vectors and floats are no HVA",
    ),
    ("enum e {A, B}; enum e f(enum e)", Nowhere, "an enum is unsigned"),
    ("enum e {A = -1, B}; enum e f(enum e, enum e)", Nowhere, "or signed"),
    ("enum e {A = 0x100000000}; enum e f(enum e)", Nowhere, "or wider"),
    ("struct s {int (*f)(int); void *p;}; struct s f(struct s)", Nowhere, "pointers in a struct"),
    ("int f(int, ...)", Nowhere, "variadic, with nothing more"),
    ("int f(const char *, ... int, double, long)", Nowhere, "printf-like"),
    ("int f(int, ... double, double, double, double, double, double, double, double, double)", Nowhere, "AL is 8"),
    ("int f(double, ... int)", Nowhere, "a fixed vector argument counts in AL"),
    ("int f(int, ... int, int, int, int, int, int, int, int, int)", Nowhere, "variadic words on the stack"),
    ("long double f(int, ... long double, int, long double)", Nowhere, "16-byte alignment among variadic arguments"),
    ("struct s {double a, b;}; struct s f(int, ... struct s, int, struct s)", Nowhere, "variadic structs"),
    ("struct s {long a, b, c;}; struct s f(int, ... struct s, struct s)", Nowhere, "in memory, with a hidden result"),
    ("struct s {float a, b, c;}; int f(int, ... struct s, double)", Nowhere, "a variadic HFA"),
    ("__int128 f(int, ... __int128, int, __int128)", Nowhere, "variadic pairs"),
    ("typedef float v __attribute__((vector_size(16))); int f(int, ... v, double, v)", Nowhere, "variadic vectors"),
    ("void f(int)", Nowhere, "an argument and no result"),
    ("signed char f(signed char, short, int)", Nowhere, "narrow signed integers are extended by the caller"),
    (
        "unsigned char f(unsigned char, unsigned short, unsigned)",
        Nowhere,
        "narrow unsigned integers are extended by the caller",
    ),
    ("char f(char, wchar_t)", Nowhere, "plain char and wchar_t have the machine's sign"),
    ("short f(unsigned short)", Nowhere, "short result"),
    ("unsigned short f(short)", Nowhere, "unsigned short result"),
    ("long f(long, unsigned long, long long, unsigned long long)", Nowhere, "64-bit integers"),
    ("void *f(const char *, void *, int (*)(int))", Nowhere, "pointers"),
    (
        "enum e { A = -1, B } f(enum e, enum u { C } , enum w { D = 1L << 40 })",
        Nowhere,
        "enums are their underlying integers",
    ),
    ("double f(_Float16, float, double, long double)", Nowhere, "floating types of all widths"),
    ("_Float16 f(_Float16)", Nowhere, "half precision result"),
    ("float f(float, double)", Nowhere, "float result"),
    ("double f(int, double, long, float, char, double)", Nowhere, "integers and floats count apart"),
    ("long f(long, long, long, long, long, long, long, long)", Nowhere, "eight integers fill the registers of AArch64"),
    (
        "long f(long, long, long, long, long, long, long, long, long)",
        Nowhere,
        "the ninth integer is on the stack of AArch64",
    ),
    (
        "char f(long, long, long, long, long, long, long, long, char, short, _Bool, int, signed char, unsigned short)",
        Nowhere,
        "narrow integers on the stack take 8 bytes each",
    ),
    (
        "double f(double, double, double, double, double, double, double, double, double, double)",
        Nowhere,
        "the ninth and tenth double are on the stack",
    ),
    (
        "float f(double, double, double, double, double, double, double, double, float, float, _Float16, float)",
        Nowhere,
        "floats on the stack take 8 bytes each",
    ),
    (
        "int f(int, float, int, float, int, float, int, float, int, float, int, float, int, float, int, float, int, float, int, float)",
        Nowhere,
        "integers and floats both overflow",
    ),
    (
        "int f(long, long, long, long, long, long, long, long, long)",
        Nowhere,
        "an odd number of stack slots keeps the stack aligned",
    ),
    (
        "long double f(long double, int, long double, double, long double)",
        Nowhere,
        "long doubles: on the stack of x86_64, in vector registers of AArch64",
    ),
    (
        "int f(long, long, long, long, long, long, long, long, int, long double, int, long double)",
        Nowhere,
        "long double after an odd stack slot is aligned to 16",
    ),
    (
        "long double f(long double, long double, long double, long double, long double, long double, long double, long double, long double)",
        Nowhere,
        "nine long doubles",
    ),
    ("i1 f(i1, i1)", Nowhere, "a struct of one int"),
    ("c3 f(c3, c3)", Nowhere, "a struct of three bytes"),
    ("l2 f(l2, l2, l2)", Nowhere, "two integer eightbytes"),
    ("ld f(ld, ld)", Nowhere, "an integer and an SSE eightbyte"),
    ("dl f(dl, dl)", Nowhere, "an SSE and an integer eightbyte"),
    ("struct { float a; int b; } f(struct s { float a; int b; }, float)", Nowhere, "float and int share an eightbyte"),
    ("f2 f(f2, f2)", Nowhere, "two floats share an SSE eightbyte"),
    ("f3 f(f3, f3)", Nowhere, "three floats: an eightbyte and a half"),
    (
        "struct { float a; int b, c; } f(struct s { float a; int b, c; })",
        Nowhere,
        "a float, and two integers behind it",
    ),
    ("struct { double a; char b[3]; } f(struct s { double a; char b[3]; }, int)", Nowhere, "chars after doubles"),
    (
        "int f(struct s1 { char a[1]; }, struct s3 { char a[3]; }, struct s5 { char a[5]; }, struct s6 { char a[6]; }, struct s7 { char a[7]; })",
        Nowhere,
        "odd sizes from 1 to 8 are not read past their end",
    ),
    (
        "struct { char a[15]; } f(struct s9 { char a[9]; }, struct s11 { char a[11]; }, struct s13 { char a[13]; })",
        Nowhere,
        "odd sizes from 9 to 15",
    ),
    ("c17 f(c17, int, c17)", Nowhere, "seventeen bytes are in memory, or by reference"),
    ("l3 f(int, l3, int, l3)", Nowhere, "24 bytes"),
    ("struct { l2 a; } f(struct s { struct { int a; double b; } c; })", Nowhere, "a struct in a struct"),
    ("struct { short a[5]; } f(struct s { int a[3]; })", Nowhere, "an array in a struct"),
    ("struct s { void *a; char b; } f(struct s, char)", Nowhere, "a struct of pointers and chars"),
    ("struct s { _Bool a, b, c; } f(struct s, _Bool)", Nowhere, "_Bools in a struct"),
    ("int f(int, int, int, int, int, l2, int)", Nowhere, "a struct is not split between registers and stack of x86_64"),
    (
        "int f(long, long, long, long, long, long, long, l2, int, int)",
        Nowhere,
        "a struct that finds no two registers of AArch64 closes them",
    ),
    (
        "ld f(long, long, long, long, long, long, ld, double, int)",
        Nowhere,
        "mixed eightbytes when integer registers are used up",
    ),
    (
        "dl f(double, double, double, double, double, double, double, double, dl, int, double)",
        Nowhere,
        "mixed eightbytes when SSE registers are used up",
    ),
    (
        "int f(l3, int, l3, double, l3, float)",
        Nowhere,
        "after a struct on the stack, registers are still used on x86_64",
    ),
    ("l3 f(int, int, int, int, int, int)", Nowhere, "the pointer to the result takes a register of x86_64"),
    ("l3 f(long, long, long, long, long, long, long, long)", Nowhere, "the pointer to the result takes x8, not x0"),
    (
        "c17 f(int, l3, double, d2, l2, d2, long, d3, d4, l2, float, double, c3, char)",
        Nowhere,
        "result in memory, with everything overflowing",
    ),
    (
        "int f(long, long, long, long, long, long, long, long, c3, c3, i1, c3)",
        Nowhere,
        "small structs on the stack take 8 bytes each",
    ),
    (
        "int f(long, long, long, long, long, long, long, long, l3, l3)",
        Nowhere,
        "by reference when general registers are used up",
    ),
    (
        "struct s { char a; double b; } __attribute__((packed)) f(struct s, struct t { char a; int b; } __attribute__((packed)))",
        Nowhere,
        "a misaligned member makes MEMORY on x86_64",
    ),
    (
        "struct s { int a; int b; double c; } __attribute__((packed)) f(struct s)",
        Nowhere,
        "packed with all members aligned is as if not packed",
    ),
    (
        "struct s { char a; float b, c; } __attribute__((packed)) f(struct s, float)",
        Nowhere,
        "a packed float pair behind a char",
    ),
    ("struct s { char a; long b __attribute__((packed)); int c; } f(struct s, long)", Nowhere, "a packed member"),
    ("struct s { char a; long double b; } __attribute__((packed)) f(struct s)", Nowhere, "a packed long double"),
    (
        "struct s { float a; double b; } __attribute__((packed)) f(struct s, d2)",
        Nowhere,
        "a packed homogeneous aggregate is still one",
    ),
    ("struct s { double a, b; } __attribute__((packed)) f(struct s, double)", Nowhere, "packed doubles"),
    ("union u { float a; int b; } f(union u, float, union u)", Nowhere, "union of float and int is INTEGER"),
    ("union u { double a; float b; } f(union u, double)", Nowhere, "union of double and float is SSE"),
    ("union u { long a; struct { float b, c; } d; } f(union u)", Nowhere, "union of long and two floats"),
    (
        "union u { struct { double a, b; } c; long d; } f(union u, double)",
        Nowhere,
        "union of a struct with doubles and a long",
    ),
    ("union u { long double a; int b; } f(int, union u, int)", Nowhere, "union of long double and int is in memory"),
    ("union u { long double a; } f(union u, int)", Nowhere, "union of long double alone"),
    ("union u { char a[3]; char b[11]; } f(union u, int)", Nowhere, "union of char arrays"),
    (
        "union u { float a; float b[3]; } f(union u, float)",
        Nowhere,
        "union of float and an array of floats is homogeneous",
    ),
    ("union u { f2 a; f4 b; } f(union u, union u, union u)", Nowhere, "union of homogeneous structs"),
    ("union u { float a; double b[2]; } f(union u)", Nowhere, "union of float and double is not homogeneous"),
    ("union u { char a[17]; long b; } f(union u, long)", Nowhere, "union of 17 bytes"),
    ("union u { v16 a; float b[4]; } f(union u, int)", Nowhere, "union of a float vector and floats"),
    ("struct s { long double a; } f(struct s, int)", Nowhere, "struct with a long double"),
    ("struct s { long double a; int b; } f(int, struct s)", Nowhere, "struct with a long double and an int"),
    ("struct s { long double a, b; } f(struct s, struct s)", Nowhere, "two long doubles"),
    ("struct s { long double a[4]; } f(struct s, long double)", Nowhere, "four long doubles"),
    ("struct s { long double a[5]; } f(struct s, long double)", Nowhere, "five long doubles"),
    (
        "float _Complex f(float _Complex, float, float _Complex)",
        Nowhere,
        "float _Complex is one SSE eightbyte, or two registers",
    ),
    ("double _Complex f(double _Complex, double, double _Complex)", Nowhere, "double _Complex is two registers"),
    (
        "long double _Complex f(int, long double _Complex, int)",
        Nowhere,
        "long double _Complex comes back in st(0) and st(1)",
    ),
    (
        "int f(double, double, double, double, double, double, double, double _Complex, double)",
        Nowhere,
        "double _Complex with one SSE register left",
    ),
    (
        "float _Complex f(float _Complex, float _Complex, float _Complex, float _Complex, float _Complex, float _Complex, float _Complex, float _Complex, float _Complex)",
        Nowhere,
        "float _Complex when SSE registers run out",
    ),
    ("struct s { double _Complex a; } f(struct s, struct s)", Nowhere, "struct of a complex"),
    ("struct s { float _Complex a; float b; } f(struct s, float)", Nowhere, "struct of complex and float"),
    (
        "_Float16 f(_Float16, _Float16, _Float16, _Float16, _Float16, _Float16, _Float16, _Float16, _Float16)",
        Nowhere,
        "nine halves",
    ),
    ("struct s { _Float16 a[3]; } f(struct s, _Float16)", Nowhere, "array of three halves"),
    ("struct s { _Float16 a[4]; } f(struct s, struct s)", Nowhere, "array of four halves"),
    ("struct s { _Float16 a; } f(struct s, struct s)", Nowhere, "one half"),
    ("struct s { _Float16 a; float b; } f(struct s)", Nowhere, "half and float"),
    ("struct s { _Float16 a; short b; } f(struct s, int)", Nowhere, "half and short"),
    ("f1 f(f1, f1)", Nowhere, "one float in a struct"),
    ("d1 f(d1, float, d1)", Nowhere, "one double in a struct"),
    ("d2 f(d2, d2, d2, d2, d2)", Nowhere, "two doubles"),
    ("f4 f(f4, f4, f4)", Nowhere, "four floats"),
    ("f5 f(f5, float)", Nowhere, "five floats are none"),
    ("d3 f(d3, d3, d3)", Nowhere, "three doubles"),
    ("d4 f(d4, double, d4)", Nowhere, "four doubles come back in four registers of AArch64"),
    ("d5 f(d5, double, d5)", Nowhere, "five doubles are none"),
    ("struct s { f2 a; struct { float b[1]; } c; } f(struct s, float)", Nowhere, "nested"),
    ("struct s { f1 a[4]; } f(struct s, f1)", Nowhere, "array of structs"),
    ("struct s { float a; double b; } f(struct s)", Nowhere, "a double among floats makes it none"),
    ("struct s { float a; int b; float c; } f(struct s, float)", Nowhere, "an int among floats makes it none"),
    (
        "double f(double, double, double, double, double, double, d3, double, float)",
        Nowhere,
        "one that finds too few vector registers closes them",
    ),
    ("float f(d4, d4, f3, f2, f1, float)", Nowhere, "one that finds none, of floats, on the stack"),
    ("struct s { float a; struct {} b; float c; } f(struct s, float)", Nowhere, "with an empty member"),
    ("struct s { int a[0]; float b; } f(struct s, float)", Nowhere, "with a zero-length array"),
    (
        "struct s { float a; float b __attribute__((aligned(8))); } f(struct s, float)",
        Nowhere,
        "with padding by alignment",
    ),
    ("struct s { v8 a, b; } f(struct s, struct s)", Nowhere, "of vectors of 8 bytes"),
    ("struct s { v16 a, b, c; } f(struct s, struct s, struct s)", Nowhere, "of vectors of 16 bytes"),
    ("struct s { v8 a[5]; } f(struct s, v8)", Nowhere, "of five vectors"),
    ("struct s { v8 a; v16 b; } f(struct s, float)", Nowhere, "vectors of 8 and of 16 bytes are no HFA"),
    ("v8 f(v8, v8, float, v8)", Nowhere, "vectors of 8 bytes"),
    ("v16 f(v16, int, v16)", Nowhere, "vectors of 16 bytes"),
    ("v16 f(v16, v16, v16, v16, v16, v16, v16, v16, v16)", Nowhere, "nine vectors of 16 bytes"),
    (
        "int f(double, double, double, double, double, double, double, double, float, v16, float, v16)",
        Nowhere,
        "a vector on the stack is aligned to 16",
    ),
    (
        "long __attribute__((vector_size(16))) f(char __attribute__((vector_size(16))), int __attribute__((vector_size(8))))",
        Nowhere,
        "vectors of integers",
    ),
    ("struct s { v16 a; } f(struct s, struct s)", Nowhere, "a vector in a struct"),
    ("struct s { v16 a; int b; } f(struct s, int)", Nowhere, "a vector and an int in a struct"),
    ("i128 f(i128, int, unsigned __int128)", Nowhere, "128-bit integers take two registers"),
    ("i128 f(int, i128, int, i128)", Nowhere, "they start at an even register of AArch64"),
    (
        "i128 f(long, long, long, long, long, i128, int)",
        Nowhere,
        "with one register of x86_64 left they go to the stack",
    ),
    (
        "int f(long, long, long, long, long, long, long, i128, int)",
        Nowhere,
        "with one register of AArch64 left they go to the stack and close the registers",
    ),
    (
        "int f(long, long, long, long, long, long, long, long, int, i128, int, i128)",
        Nowhere,
        "on the stack they are aligned to 16",
    ),
    ("struct s { i128 a; } f(int, struct s, int)", Nowhere, "struct of a 128-bit integer"),
    (
        "int f(int, int, int, int, int, struct s { i128 a; }, int)",
        Nowhere,
        "struct of a 128-bit integer when registers run out",
    ),
    ("struct s { i128 a; int b; } f(int, struct s)", Nowhere, "struct of 32 bytes with one"),
    (
        "struct s { long a, b; } __attribute__((aligned(16))) f(int, struct s, int, struct s)",
        Nowhere,
        "a struct aligned to 16 starts at an even register or not, by its members",
    ),
    (
        "struct s { long a __attribute__((aligned(16))); long b; } f(int, struct s, int)",
        Nowhere,
        "a member aligned to 16 counts",
    ),
    (
        "int f(long, long, long, long, long, long, long, long, int, struct s { long a, b; } __attribute__((aligned(16))))",
        Nowhere,
        "a struct aligned to 16 on the stack",
    ),
    (
        "struct s { long a; } __attribute__((aligned(32))) f(int, struct s, int, struct s)",
        Nowhere,
        "a struct aligned to 32",
    ),
    ("struct s { char a; } __attribute__((aligned(64))) f(struct s, int, struct s)", Nowhere, "a struct aligned to 64"),
    (
        "struct s { int a; int b __attribute__((aligned(64))); } f(int, struct s, long double)",
        Nowhere,
        "a member aligned to 64",
    ),
    (
        "struct s { int a, b, c, d; } __attribute__((packed, aligned(1))) f(struct s)",
        Nowhere,
        "a struct of 16 bytes aligned to 1",
    ),
    ("struct s { float a __attribute__((aligned(16))); } f(float, struct s, float)", Nowhere, "a float aligned to 16"),
    (
        "int f(long, long, long, long, long, long, long, long, int, struct s { char a[100]; } __attribute__((aligned(64))), int)",
        Nowhere,
        "large and aligned to 64 after an odd slot",
    ),
    ("struct s { int a : 3; unsigned b : 13; int c : 16; } f(struct s, int)", Nowhere, "bit-fields in one eightbyte"),
    ("struct s { long a : 40; long b : 40; } f(struct s, int)", Nowhere, "bit-fields in two eightbytes"),
    ("struct s { float a; int b : 7; } f(struct s, float)", Nowhere, "bit-fields beside a float"),
    ("struct s { double a; int b : 7; } f(struct s, double)", Nowhere, "bit-fields beside a double"),
    ("struct s { __int128 a : 100; } f(int, struct s)", Nowhere, "bit-field of __int128"),
    ("struct s { _Bool a : 1, b : 1; int c : 2; } f(struct s)", Nowhere, "_Bool bit-fields"),
    ("struct s { char a : 3; int : 0; char b : 5; } f(struct s)", Nowhere, "a zero width closes the unit"),
    ("struct s { int a : 3; int : 20; int b : 9; } f(struct s)", Nowhere, "padding bits"),
    (
        "struct s { int a : 30; int b : 30; char c : 4; } __attribute__((packed)) f(struct s, int)",
        Nowhere,
        "packed bit-fields",
    ),
    ("struct s { long a : 60; long b : 60; char c : 3; } f(struct s)", Nowhere, "bit-fields of 17 bytes"),
    ("int f(int, struct s { int : 5; }, int)", Clang, "unnamed bit-fields only"),
    ("struct s { int : 0; float a; } f(struct s, float)", Nowhere, "a float behind an unnamed bit-field"),
    ("struct s { int : 8; float a; } f(struct s, float)", Clang, "a float behind unnamed bits"),
    (
        "void f(empty, unsigned __int128)",
        Nowhere,
        "an empty struct and another one passed by reference have two addresses",
    ),
    ("empty f(int, empty, int, empty, double)", Nowhere, "empty structs take no place"),
    ("struct s { int a[0]; } f(int, struct s, int)", Nowhere, "an array of no elements"),
    (
        "int f(int, int, int, int, int, int, int, int, int, empty, int)",
        Nowhere,
        "an empty struct when registers run out",
    ),
    ("struct s { int a[256]; } f(struct s, int)", Nowhere, "1 KiB in and out"),
    ("struct s { char a[4096]; } f(int, struct s)", Nowhere, "4 KiB in and out"),
    ("int f(struct s { long a[768]; }, int, struct s)", Nowhere, "6 KiB twice: more than a page of stack"),
    ("struct s { char a[33]; } f(struct s, struct s)", Nowhere, "33 bytes"),
    ("int f(const char *, ... int, double, char *, long)", Nowhere, "like printf"),
    ("int f(int, ... double)", Nowhere, "al counts the vector registers"),
    (
        "int f(int, ... double, double, double, double, double, double, double, double)",
        Nowhere,
        "eight doubles in registers",
    ),
    (
        "double f(double, ... double, double, double, double, double, double, double, double, double, double)",
        Nowhere,
        "doubles on the stack",
    ),
    ("long f(long, ... long, int, long, unsigned, long, int, long, int, long)", Nowhere, "integers on the stack"),
    ("int f(int, ... char, short, float, _Bool, unsigned char)", Nowhere, "promoted arguments"),
    ("long double f(int, ... long double, int, long double, double)", Nowhere, "long double among variadic arguments"),
    ("l3 f(int, ... l2, l3, ld, dl, f2, c3, c17)", Nowhere, "structs among variadic arguments"),
    ("d2 f(double, ... d2, f3, d4, f4, d2, d5)", Nowhere, "homogeneous aggregates among variadic arguments"),
    ("i128 f(int, ... i128, int, i128, long, i128)", Nowhere, "128-bit integers among variadic arguments"),
    ("v16 f(v16, ... v16, double, v16, v8)", Nowhere, "vectors among variadic arguments"),
    (
        "int f(int, ... double _Complex, float _Complex, long double _Complex)",
        Nowhere,
        "complex among variadic arguments",
    ),
    (
        "int f(int, ... struct s { long a, b; } __attribute__((aligned(16))), int, struct s)",
        Nowhere,
        "aligned structs among variadic arguments",
    ),
    ("int f(int, ... empty, int, empty, double)", Nowhere, "empty structs among variadic arguments"),
    (
        "l3 f(int, int, int, int, int, int, int, int, int, double, ... double, int, l3, double)",
        Nowhere,
        "variadic with a result in memory and fixed parameters on the stack",
    ),
    ("v32 f(v32, int, v32)", NarrowVectors, "vectors of 32 bytes"),
    ("v32 f(v32, v32, v32, v32, v32, v32, v32, v32, v32)", NarrowVectors, "nine vectors of 32 bytes"),
    (
        "int f(v32, v32, v32, v32, v32, v32, v32, v32, double, v32, int)",
        NarrowVectors,
        "a vector of 32 bytes on the stack after an odd slot",
    ),
    ("struct s { v32 a; } f(struct s, v16, struct s)", NarrowVectors, "a struct of a vector of 32 bytes"),
    ("union u { v32 a; float b; } f(union u)", NarrowVectors, "a union of one and floats"),
    ("struct s { v16 a, b; } f(struct s, v32)", NarrowVectors, "32 bytes of two vectors of 16"),
    (
        "struct e {}; struct s { struct e a; v32 b; } f(struct s, double)",
        Both,
        "an empty struct beside a vector of 32 bytes has no class",
    ),
    ("int f(int, ... v32, double)", NarrowVectors, "a vector of 32 bytes among variadic arguments"),
    ("int f(v32, ... int)", Both, "a named vector of 32 bytes of a variadic function is in a register"),
    (
        "struct s {int c[0]; double _Complex d;}; struct s f(struct s, double)",
        Clang,
        "to gcc, a complex number all the same",
    ),
    (
        "union u {float a; int : 0;}; union u f(union u, int)",
        Clang,
        "in a union, a bit-field of no width is INTEGER to gcc",
    ),
    ("union u {__int128 a : 65; float b;}; union u f(union u, int)", Nowhere, "two eightbytes of bit-field in a union"),
    (
        "struct s {char a; union {int b : 9;} __attribute__((packed)) c;} __attribute__((packed)); struct s f(struct s, int)",
        Clang,
        "an unaligned bit-field in a union is MEMORY to gcc",
    ),
    ("int f(int, int, int, int, int, int, struct s {int : 1;}, int)", Clang, "padding bits take no stack, to gcc"),
    ("struct s {long : 64; long : 64; long : 3;}; struct s f(struct s, int)", Clang, "24 bytes of padding bits"),
    (
        "struct z {int c[0];}; struct s {struct z c; v8 d;}; struct s f(struct s, double)",
        Clang,
        "to gcc, a vector all the same",
    ),
    (
        "union u {__int128 a : 1;} __attribute__((packed, aligned(16))); union u f(int, union u, int)",
        Clang,
        "a packed bit-field has the alignment of its type to gcc on AArch64",
    ),
    ("struct s {float a; int b[0];}; struct s f(struct s, int)", Clang, "an array of no length has a class to gcc"),
    ("struct s {float a, b; int c[0];}; struct s f(struct s, int)", Nowhere, "but not at the start of an eightbyte"),
    ("struct s {int a; long b[0];} __attribute__((packed)); struct s f(struct s)", Clang, "and an alignment"),
    (
        "struct s {char a; struct {int b : 16;} c;} __attribute__((packed)); struct s f(struct s)",
        Nowhere,
        "a bit-field that fills a short is unaligned where the short is",
    ),
    (
        "struct s {char a; struct {int b : 15;} c;} __attribute__((packed)); struct s f(struct s)",
        Clang,
        "one that does not is never unaligned to gcc",
    ),
    ("typedef double v __attribute__((vector_size(8))); v f(v, v)", Clang, "a vector of one double is MEMORY to gcc"),
    ("typedef long v __attribute__((vector_size(8))); v f(v, int)", Nowhere, "a vector of one integer is SSE"),
    (
        "typedef __int128 v __attribute__((vector_size(16))); v f(v, int)",
        Clang,
        "a vector of one wide integer is one all the same to gcc",
    ),
    (
        "typedef __int128 v __attribute__((vector_size(32))); v f(v, int)",
        NarrowVectors,
        "a vector of two wide integers is MEMORY",
    ),
];

/// The rows that apply to this machine and compiler.
pub(crate) fn cases(dialect: Dialect) -> Vec<Case> {
    let applies = |except: Except| match except {
        Nowhere => true,
        NarrowVectors => has_wide_vectors(),
        Clang => dialect != Dialect::Clang,
        Both => has_wide_vectors() && dialect != Dialect::Clang,
    };
    let (rows, rest): (Vec<_>, Vec<_>) = ROWS.iter().partition(|(_, except, _)| applies(*except));
    for (text, except, _) in rest {
        println!("left out, {except:?}: {text}");
    }
    let mut cases: Vec<Case> = rows.into_iter().flat_map(|(text, _, reason)| choices(text, reason)).collect();
    let windows: Vec<Case> = cases.iter().filter_map(|case| in_windows(case, dialect)).collect();
    cases.extend(windows);
    cases
}

/// A case in Windows' convention, where it has one.
fn in_windows(case: &Case, dialect: Dialect) -> Option<Case> {
    let signature = in_windows_convention(&case.signature, dialect)?;
    Some(Case { label: format!("{}, ms_abi", case.label), signature, choice: case.choice })
}

/// A row as cases: where it has unions, their largest members hold the values in one, and others in the next ones.
fn choices(text: &str, reason: &str) -> impl Iterator<Item = Case> {
    let signature = read(text);
    let label = format!("{text} ({reason})");
    let choices = if text.contains("union") { 0..3 } else { 0..1 };
    choices.map(move |choice| Case { label: label.clone(), signature: signature.clone(), choice })
}

fn read(text: &str) -> Signature {
    let parse = |text: &str| Signature::parse(&format!("{COMMON}{text}")).unwrap_or_else(|error| panic!("{error}"));
    let Some((fixed, tail)) = text.split_once("... ") else { return parse(text) };
    // The tail's types are those of the parameters of a function that is declared after the same definitions.
    let definitions = fixed.rsplit_once(';').map_or(String::new(), |(definitions, _)| format!("{definitions};"));
    let tail = parse(&format!("{definitions} void tail({tail}"));
    let types = tail.parameters().iter().map(|parameter| parameter.ty.clone());
    parse(&format!("{fixed}...)")).with_tail(types).unwrap_or_else(|error| panic!("{text}: {error}"))
}
