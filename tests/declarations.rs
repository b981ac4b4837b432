//! C declarations read and written: tables of accepted and refused texts, and properties of random ones.

use jitcall::types::declaration::Declarations;
use jitcall::types::{Arch, Enum, Member, Pointee, Pointer, layout};
use jitcall::{Error, Parameter, Result, Signature, Type};
use quickcheck::{Arbitrary, Gen, QuickCheck, TestResult};
use std::sync::Arc;

/// A text that declares a function, and how the function is written.
const FUNCTIONS: &[(&str, &str)] = &[
    ("double pow(double, double)", "double pow(double, double)"),
    ("int printf(const char *, ...);", "int printf(const char *, ...)"),
    ("struct { int quot; int rem; } div(int, int)", "struct { int quot; int rem; } div(int, int)"),
    ("void f(void)", "void f(void)"),
    ("void f()", "void f(void)"),
    ("void f(); int g(int a);", "int g(int a)"),
    ("double (double, double)", "double (double, double)"),
    ("int (*(int))(void)", "int (*(int))(void)"),
    ("char *(void);", "char *(void)"),
    ("extern __inline__ _Noreturn void stop(int status)", "void stop(int status)"),
    ("static inline int f(register int x)", "int f(int x)"),
    ("__extension__ extern long long f(void)", "long long f(void)"),
    // Integers in every spelling and order.
    (
        "unsigned f(signed, long, unsigned long int, long unsigned)",
        "unsigned int f(int, long, unsigned long, unsigned long)",
    ),
    ("short f(short int, unsigned short, int short unsigned)", "short f(short, unsigned short, unsigned short)"),
    ("long long f(long int long, long unsigned int long)", "long long f(long long, unsigned long long)"),
    ("char f(signed char, char unsigned, __signed__ char)", "char f(signed char, unsigned char, signed char)"),
    (
        "__int128 f(unsigned __int128, __int128_t, __uint128_t)",
        "__int128 f(unsigned __int128, __int128, unsigned __int128)",
    ),
    ("bool f(_Bool)", "_Bool f(_Bool)"),
    ("size_t f(ssize_t, ptrdiff_t, intptr_t, uintptr_t)", "unsigned long f(long, long, long, unsigned long)"),
    ("int8_t f(uint16_t, int32_t, uint64_t)", "signed char f(unsigned short, int, unsigned long)"),
    ("int_least8_t f(int_fast16_t, uint_fast8_t, uintmax_t)", "signed char f(long, unsigned char, unsigned long)"),
    ("wchar_t f(wint_t, char16_t, char32_t)", "wchar_t f(unsigned int, unsigned short, unsigned int)"),
    (
        "off_t f(time_t, clock_t, pid_t, uid_t, gid_t, mode_t)",
        "long f(long, long, int, unsigned int, unsigned int, unsigned int)",
    ),
    // Floating types.
    ("_Float16 f(_Float32, _Float64, long double, double long)", "_Float16 f(float, double, long double, long double)"),
    ("float _Complex f(complex double, __complex__ float)", "float _Complex f(double _Complex, float _Complex)"),
    ("struct complex { int complex; }; int complex(struct complex *)", "int complex(struct complex *)"),
    ("int (*f)(complex float), g(int (complex double))", "int g(int (*)(double _Complex))"),
    (
        "_Complex f(long _Complex double, _Complex long double)",
        "double _Complex f(long double _Complex, long double _Complex)",
    ),
    (
        "typedef float v4 __attribute__((vector_size(16))); v4 f(v4)",
        "float __attribute__((vector_size(16))) f(float __attribute__((vector_size(16))))",
    ),
    ("int __attribute__((__vector_size__(2 * sizeof(long)))) f(void)", "int __attribute__((vector_size(16))) f(void)"),
    ("void f(double __attribute__((vector_size(32))) *p)", "void f(double __attribute__((vector_size(32))) *p)"),
    // Qualifiers: only that of the pointee stays.
    ("char *strcpy(char *restrict d, const char *__restrict s)", "char *strcpy(char *d, const char *s)"),
    ("void f(char const *const p, const volatile int)", "void f(const char *p, int)"),
    ("void f(char *const *p)", "void f(char *const *p)"),
    ("void f(const char *const *const *p)", "void f(const char *const *const *p)"),
    ("typedef char *text; void f(const text *p, text const q)", "void f(char *const *p, char *q)"),
    ("typedef const int fixed; fixed *f(void)", "const int *f(void)"),
    ("void f(_Atomic int *p, _Atomic(long) *q)", "void f(int *p, long *q)"),
    ("void f(int (*const p)(int))", "void f(int (*p)(int))"),
    ("void f(int (*const *p)(int))", "void f(int (*const *p)(int))"),
    // Declarators.
    ("void (*signal(int, void (*)(int)))(int)", "void (*signal(int, void (*)(int)))(int)"),
    (
        "void qsort(void *, size_t, size_t, int (*)(const void *, const void *))",
        "void qsort(void *, unsigned long, unsigned long, int (*)(const void *, const void *))",
    ),
    ("int main(int argc, char *argv[])", "int main(int argc, char **argv)"),
    ("int f(int a[static 4], int b[const], int c[][3])", "int f(int *a, int *b, int (*c)[3])"),
    ("int f(int n, int m, double a[n * m], double b[*])", "int f(int n, int m, double *a, double *b)"),
    ("int f(const char a[4])", "int f(const char *a)"),
    ("typedef const int row[4]; int f(row a, row *b)", "int f(const int *a, const int (*b)[4])"),
    ("int f(int g(double), int (h))", "int f(int (*g)(double), int h)"),
    ("typedef int number; int f(int (number))", "int f(int (*)(int))"),
    ("typedef int number; int f(int number)", "int f(int number)"),
    ("int (f)(int)", "int f(int)"),
    ("int (*f(void))[3]", "int (*f(void))[3]"),
    ("const int (*f(void))[3][4]", "const int (*f(void))[3][4]"),
    ("int *(*f(int *(*)[2]))[5]", "int *(*f(int *(*)[2]))[5]"),
    ("char *const (*f(void))[2]", "char *const (*f(void))[2]"),
    ("void f(int (*)[])", "void f(int (*)[])"),
    ("int (*(*f(int a))(int b))(int c)", "int (*(*f(int a))(int b))(int c)"),
    ("void f(int (*)(int, ...))", "void f(int (*)(int, ...))"),
    (
        "typedef int callback(void *); callback *get(callback, callback *)",
        "int (*get(int (*)(void *), int (*)(void *)))(void *)",
    ),
    ("int f(int), g(long), *h(void)", "int *h(void)"),
    // Tags.
    ("struct point { double x, y; } f(struct point p)", "struct point f(struct point p)"),
    ("struct sqlite3 *f(const struct sqlite3 *)", "struct sqlite3 *f(const struct sqlite3 *)"),
    (
        "typedef struct sqlite3 sqlite3; int f(sqlite3 *, const sqlite3 **)",
        "int f(struct sqlite3 *, const struct sqlite3 **)",
    ),
    ("typedef struct point point; struct point { int x; }; point f(point *)", "struct point f(struct point *)"),
    ("union u; union u *f(union u **)", "union u *f(union u **)"),
    ("enum e { A, B } f(enum e)", "enum e f(enum e)"),
    ("typedef enum { A, B = 4, C, } e; e f(e *)", "enum { A, B = 4, C } f(enum { A, B = 4, C } *)"),
    ("FILE *fopen(const char *, const char *)", "struct _IO_FILE *fopen(const char *, const char *)"),
    ("typedef struct file FILE; FILE *f(void)", "struct file *f(void)"),
    ("typedef unsigned char bool; bool f(bool)", "unsigned char f(unsigned char)"),
    ("typedef int t; typedef int t; t f(t)", "int f(int)"),
    ("int f(int a); int f(int b);", "int f(int b)"),
    ("int f(int a); int g(void); int f(int b);", "int f(int b)"),
    // Attributes, comments and what else surrounds declarations.
    ("extern int f(const char *) __asm__(\"f64\") __attribute__((nonnull(1), pure));", "int f(const char *)"),
    ("extern void *f(size_t) __THROW __attribute_malloc__ __nonnull ((1));", "void *f(unsigned long)"),
    ("__attribute__((format(printf, 1, 2))) int f(const char *, ...)", "int f(const char *, ...)"),
    ("[[nodiscard]] int f([[maybe_unused]] int a)", "int f(int a)"),
    ("int f(int a __attribute__((unused)), int *__attribute__((noescape)) b)", "int f(int a, int *b)"),
    ("/* a */ int // b\n f /* c \n d */ (int)\\\n;;", "int f(int)"),
];

/// A text that ends in a type name, and how the type is written.
const TYPES: &[(&str, &str)] = &[
    ("const char *", "const char *"),
    ("char const*", "const char *"),
    ("int", "int"),
    ("const int", "int"),
    ("void", "void"),
    ("int;", "int"),
    ("int (*)(int)", "int (*)(int)"),
    ("int (*)()", "int (*)(void)"),
    ("int[4]", "int[4]"),
    ("int [2][3]", "int[2][3]"),
    ("int *[4]", "int *[4]"),
    ("int (*)[4]", "int (*)[4]"),
    ("int (*[3])(int)", "int (*[3])(int)"),
    ("char *(*)(void)", "char *(*)(void)"),
    ("void (*(*)(int))(void)", "void (*(*)(int))(void)"),
    ("struct {int a; double b;}", "struct { int a; double b; }"),
    ("struct p { int a; };", "struct p"),
    ("struct p { int a; }; struct p *", "struct p *"),
    ("typedef int real; real *", "int *"),
    ("struct {}", "struct {}"),
    ("union { int i; float f; }", "union { int i; float f; }"),
    ("struct { int a, *b, c[3], (*d)(int); }", "struct { int a; int *b; int c[3]; int (*d)(int); }"),
    (
        "struct { int a : 3; unsigned : 5; int : 0; long b : 1, c : 2; }",
        "struct { int a : 3; unsigned int : 5; int : 0; long b : 1; long c : 2; }",
    ),
    (
        "struct { struct { int a; }; union { int b; float c; }; }",
        "struct { struct { int a; }; union { int b; float c; }; }",
    ),
    ("struct { int n; char data[]; }", "struct { int n; char data[]; }"),
    ("struct { char c; int i; } __attribute__((packed))", "struct { char c; int i; } __attribute__((packed))"),
    (
        "struct __attribute__((__packed__, __aligned__(4))) { char c; }",
        "struct { char c; } __attribute__((packed, aligned(4)))",
    ),
    ("struct { char c; } __attribute__((aligned))", "struct { char c; } __attribute__((aligned(16)))"),
    (
        "struct { char c __attribute__((aligned(8))); int i __attribute__((packed)); }",
        "struct { char c __attribute__((aligned(8))); int i __attribute__((packed)); }",
    ),
    (
        "struct { _Alignas(8) char c; alignas(double) char d, e; _Alignas(0) char f; }",
        "struct { char c __attribute__((aligned(8))); char d __attribute__((aligned(8))); char e __attribute__((aligned(8))); char f; }",
    ),
    ("struct { char c; _Alignas(8) struct { int i; }; }", "struct { char c; _Alignas(8) struct { int i; }; }"),
    ("struct [[gnu::packed]] { char c; int i; }", "struct { char c; int i; } __attribute__((packed))"),
    ("struct { int a : 3 __attribute__((aligned(4))); }", "struct { int a : 3 __attribute__((aligned(4))); }"),
    ("struct { struct inner { int a; } x; struct inner *y; }", "struct { struct inner x; struct inner *y; }"),
    ("struct { struct inner { int a; }; int b; }", "struct { int b; }"),
    ("struct { enum { A, B }; int b[B + 1]; }", "struct { int b[2]; }"),
    ("enum { A = -1, B }", "enum { A = -1, B }"),
    (
        "enum { A = 'a', B = '\\n', C = '\\x7f', D = '\\101', E = '\\'' }",
        "enum { A = 97, B = 10, C = 127, D = 65, E = 39 }",
    ),
    ("enum { A = 0x7fffffffffffffff, B = ~A }", "enum { A = 9223372036854775807, B = (-9223372036854775807 - 1) }"),
    ("enum { A = 0xffffffffffffffff }", "enum { A = 18446744073709551615u }"),
    // Constant expressions, with C's types and precedences.
    ("int[2 + 3 * 4 - 1]", "int[13]"),
    ("int[(2 + 3) * 4 % 7 / 2]", "int[3]"),
    ("int[1 << 4 | 3 & 6 ^ 1]", "int[19]"),
    ("int[0x10 + 010 + 0b11]", "int[27]"),
    ("int[-(-3)]", "int[3]"),
    ("int[~0u >> 28]", "int[15]"),
    ("int[(0u - 1) >> 30]", "int[3]"),
    ("int[-1 / 2 + sizeof(long) + _Alignof(short)]", "int[10]"),
    ("int[sizeof(struct { char c; int i; })]", "int[8]"),
    ("enum { N = 3 }; int[N][N * N]", "int[3][9]"),
    ("int[10ull]", "int[10]"),
];

/// A text, where it is refused, and why.
const REFUSED: &[(&str, usize, usize, &str)] = &[
    ("", 1, 1, "expected the declaration of a function, found end of text"),
    ("int x;", 1, 7, "expected the declaration of a function, found end of text"),
    ("double pow(flaot, double)", 1, 12, "expected a type, found `flaot`; did you mean `float`?"),
    ("sizet f(void)", 1, 1, "expected a type, found `sizet`; did you mean `size_t`?"),
    ("struct point { int x; }; point f(void)", 1, 26, "expected a type, found `point`; did you mean `struct point`?"),
    ("frobnicate f(void)", 1, 1, "expected a type, found `frobnicate`"),
    ("int f(int", 1, 10, "expected `)` or `,`, found end of text"),
    ("int f(int  \n ", 1, 10, "expected `)` or `,`, found end of text"),
    ("int f(\n  int a;\n", 2, 8, "expected `)` or `,`, found `;`"),
    ("int f(int,)", 1, 11, "expected a type, found `)`"),
    ("int", 1, 4, "expected a name, found end of text"),
    ("int;", 1, 4, "expected a name, found `;`"),
    ("int *; int f(void)", 1, 6, "expected a name, found `;`"),
    ("int f(int) g", 1, 12, "expected `;` or `,`, found `g`"),
    ("int if(int)", 1, 5, "expected a name, found `if`"),
    ("int f(int) { return 0; }", 1, 12, "expected `;`, found the body of a function: only declarations can be read"),
    ("int x = 3; int f(void)", 1, 7, "expected `;`, found an initial value: only declarations can be read"),
    ("short double f(void)", 1, 1, "`short double` is not a type"),
    ("int f(long long long x)", 1, 7, "`long long long` is not a type"),
    ("_Float16 _Complex f(void)", 1, 1, "`_Float16 _Complex` is not a type"),
    ("struct point f(void)", 1, 1, "struct point is not defined"),
    ("void f(int, struct point p)", 1, 13, "struct point is not defined"),
    ("void f(enum e)", 1, 13, "enum e is not defined"),
    ("struct a { struct a inner; }; void f(void)", 1, 12, "struct a is not defined"),
    ("struct a { int x; }; struct a { int y; }; void f(void)", 1, 29, "struct a is defined twice"),
    ("struct a { struct a { int x; } y; }; void f(void)", 1, 8, "struct a is defined twice"),
    ("struct a { int x; }; void f(union a *)", 1, 35, "`a` is declared as struct a, not as union a"),
    ("void f(int a, int a)", 1, 19, "`a` is declared twice"),
    ("int f(int); int f(long);", 1, 17, "`f` is declared twice"),
    ("int x; int x(void);", 1, 12, "`x` is declared twice"),
    ("typedef int t; typedef long t; t f(void)", 1, 29, "`t` is declared twice"),
    ("enum { A, A = 4 } f(void)", 1, 11, "`A` is declared twice"),
    ("enum { wchar_t } f(void)", 1, 8, "`wchar_t` is declared twice"),
    ("struct { int x; union { int y; float x; }; } f(void)", 1, 17, "`x` is declared twice"),
    ("void f(void x)", 1, 8, "void cannot be passed"),
    ("void f(void, int)", 1, 8, "void cannot be passed"),
    ("void x; void f(void)", 1, 1, "a variable cannot be void"),
    ("void f(...)", 1, 8, "expected a parameter before the `...`, found `...`"),
    ("void f(int, ..., int)", 1, 16, "expected `)`, found `,`"),
    ("int f(void)[3]", 1, 12, "an array (int[3]) cannot be returned by value"),
    ("int f(void)(int)", 1, 12, "a function cannot be returned: use a pointer to it"),
    ("int a[3](int); int f(void)", 1, 9, "a function cannot be an element of an array: use a pointer to it"),
    ("void a[3]; int f(void)", 1, 1, "void has no size"),
    ("int f(int n, int a[3][n])", 1, 22, "expected a constant array length"),
    ("int a[-1]; int f(void)", 1, 7, "an array length of -1: it cannot be negative"),
    ("int a[1 / 0]; int f(void)", 1, 7, "a division by zero"),
    ("int a[5 % (2 - 2)]; int f(void)", 1, 7, "a division by zero"),
    ("int a[2147483647 + 1]; int f(void)", 1, 7, "the value overflows int"),
    ("int a[1 << 32]; int f(void)", 1, 7, "a shift of a 32-bit value by 32"),
    ("int a[1 << -1]; int f(void)", 1, 7, "a shift of a 32-bit value by -1"),
    ("int a[1 << 31]; int f(void)", 1, 7, "the value overflows int"),
    ("int a[99999999999999999999]; int f(void)", 1, 7, "`99999999999999999999` is larger than any integer type"),
    ("int a[09]; int f(void)", 1, 7, "`09` is no integer constant"),
    ("int a[1.5]; int f(void)", 1, 7, "`1.5` is no integer constant"),
    ("int a['ab']; int f(void)", 1, 7, "'ab' is no character of one byte"),
    ("int a[n]; int f(void)", 1, 7, "expected an integer constant, found `n`"),
    ("int a[2 +]; int f(void)", 1, 10, "expected an integer constant, found `]`"),
    ("int a[1 << 30][1 << 30]; int f(void)", 1, 6, "int[1073741824][1073741824] is too large"),
    ("struct { int a : 33; } f(void)", 1, 14, "the bit-field a has 33 bits, more than the 32 of int"),
    ("struct { double a : 3; } f(void)", 1, 17, "the bit-field a has the type double"),
    ("struct { int a : -1; } f(void)", 1, 18, "a bit-field width of -1: it cannot be negative"),
    ("struct { int a : 0; } f(void)", 1, 14, "the bit-field a has no bits but a name"),
    ("struct { void a; } f(void)", 1, 10, "a member cannot be void"),
    ("struct { int f(void); } f(void)", 1, 10, "a function cannot be a member: use a pointer to it"),
    ("struct { static int a; } f(void)", 1, 10, "`static` cannot stand here"),
    (
        "struct { int a[]; int b; } f(void)",
        1,
        14,
        "a flexible array member (a) must be the last of several members of a struct",
    ),
    (
        "struct { int n; int a[]; } f(void)",
        1,
        1,
        "struct { int n; int a[]; } ends in a flexible array member and cannot be returned by value",
    ),
    ("struct { int a } f(void)", 1, 16, "expected `;` or `,`, found `}`"),
    ("struct { int a; ", 1, 16, "expected a type, found end of text"),
    ("struct f(void)", 1, 1, "struct f is not defined"),
    ("struct (void)", 1, 8, "expected a tag or `{`, found `(`"),
    ("enum { A B } f(void)", 1, 10, "expected `}` or `,`, found `B`"),
    ("enum { } f(void)", 1, 8, "expected a name, found `}`"),
    ("enum e : char { A } f(void)", 1, 6, "an enum with a declared underlying type is not supported"),
    ("enum { A, B } __attribute__((packed)) f(void)", 1, 30, "`packed` on an enum is not supported"),
    (
        "enum { A = -1, B = 0xffffffffffffffff } f(void)",
        1,
        1,
        "an enum with constants that no 64-bit integer type holds",
    ),
    (
        "typedef int t __attribute__((aligned(8))); t f(void)",
        1,
        30,
        "`aligned` on a typedef is not supported: put it on the struct or the member",
    ),
    (
        "typedef struct { int a; } t __attribute__((packed)); t f(void)",
        1,
        44,
        "`packed` has no effect on a typedef: put it after the body of a struct",
    ),
    (
        "struct { int a __attribute__((aligned(3))); } f(void)",
        1,
        31,
        "an alignment of 3: it must be a power of two, at most 4096",
    ),
    ("struct { _Alignas(2) int a; } f(void)", 1, 10, "`_Alignas(2)` is less than the alignment of int, 4"),
    (
        "typedef int t __attribute__((mode(QI))); t f(void)",
        1,
        30,
        "the attribute `mode` changes the meaning and is not supported",
    ),
    (
        "typedef float v __attribute__((vector_size(12))); v f(void)",
        1,
        32,
        "a vector of float cannot have 12 bytes: 8, 16 and 32 are supported",
    ),
    ("int f(int) __attribute__((nonnull(1", 1, 34, "`(` is never closed"),
    (
        "void f(_Atomic struct { int a; } x)",
        1,
        8,
        "`_Atomic` is supported on integers, floating types and pointers only: others may change size",
    ),
    ("int vprintf(const char *, va_list)", 1, 27, "`va_list` cannot be passed: only a C compiler can make one"),
    ("typedef extern int f(void)", 1, 9, "`extern` cannot stand together with `typedef`"),
    ("#include <math.h>\nint f(void)", 1, 1, "a preprocessor line: only what the preprocessor leaves can be read"),
    ("int f(void) /* no end", 1, 13, "expected `*/` at the end of this comment, found end of text"),
    ("int a['x]; int f(void)", 1, 7, "expected another `'` at the end of this character"),
    ("int f(void) asm(\"g);", 1, 17, "expected another `\"` at the end of this string"),
    ("int \u{e9}t\u{e9}(int @)", 1, 13, "`@` has no meaning in C"),
    ("\r\n\tint f(int,\r\n\t\tsruct a)", 3, 3, "expected a type, found `sruct`"),
];

fn declaration_error(error: Error) -> jitcall::error::DeclarationError {
    match error {
        Error::Declaration(error) => *error,
        other => panic!("{other:?} is no error about a declaration"),
    }
}

#[test]
fn functions_are_written_as_c() -> Result<()> {
    for (text, written) in FUNCTIONS {
        let signature = Signature::parse(text).unwrap_or_else(|error| panic!("{text}\n{error}"));
        assert_eq!(signature.to_string(), *written, "{text}");
        assert_eq!(Signature::parse(&signature.declaration())?, signature, "{text}");
    }
    Ok(())
}

#[test]
fn types_are_written_as_c() {
    for (text, written) in TYPES {
        let ty = Type::parse(text).unwrap_or_else(|error| panic!("{text}\n{error}"));
        assert_eq!(ty.to_string(), *written, "{text}");
        let complete = format!("{}{ty}", ty.definitions());
        assert_eq!(Type::parse(&complete).unwrap_or_else(|error| panic!("{complete}\n{error}")), ty, "{text}");
        if !ty.is_void() {
            let variable = format!("{}extern {};", ty.definitions(), ty.display_named("it"));
            let declarations = Declarations::parse(&variable).unwrap_or_else(|error| panic!("{variable}\n{error}"));
            assert_eq!(declarations.variables()[0].ty, ty, "{variable}");
        }
    }
}

#[test]
fn refusals_point_at_the_place() {
    for (text, line, column, message) in REFUSED {
        let error = declaration_error(Signature::parse(text).expect_err(text));
        assert_eq!((error.line, error.column, error.message.as_str()), (*line, *column, *message), "{text}");
        assert_eq!(error.source_line, text.split('\n').nth(line - 1).unwrap_or_default().trim_end_matches('\r'));
    }
}

#[test]
fn a_type_name_has_no_name() {
    let cases = [
        ("int x", 6, "expected a type, found end of text"),
        ("int (int)", 1, "expected the type of an object, found that of a function, int (int)"),
        ("struct nowhere", 1, "struct nowhere is not defined"),
        ("int, long", 4, "expected a name, found `,`"),
        ("", 1, "expected a type, found end of text"),
    ];
    for (text, column, message) in cases {
        let error = declaration_error(Type::parse(text).expect_err(text));
        assert_eq!((error.column, error.message.as_str()), (column, message), "{text}");
    }
}

#[test]
fn an_error_shows_its_piece() {
    let error = Signature::parse("int f(\n\tlong flaot,\n\tlnog)").unwrap_err();
    let shown = "line 3, column 2: expected a type, found `lnog`; did you mean `long`?\n  \tlnog)\n  \t^^^^";
    assert_eq!(error.to_string(), shown);
}

#[test]
fn declarations_keep_their_order_and_names() -> Result<()> {
    let text = "
        typedef struct point { double x, y; } point;
        typedef int (*compare)(const void *, const void *), table[4];
        typedef struct later later;
        typedef int function(int);
        enum mode { READ = 1, WRITE, APPEND = 1 << 4 } extern mode, modes[3];
        double norm(point), angle(struct point);
        extern const char *const names[], **environ;
        struct later { later *next; };
        union word { int i; float f; };
        double norm(point p);
    ";
    let declarations = Declarations::parse(text)?;
    let functions: Vec<String> = declarations.functions().iter().map(Signature::to_string).collect();
    assert_eq!(functions, ["double norm(struct point p)", "double angle(struct point)"]);
    assert_eq!(declarations.last_function(), declarations.function("norm"));
    assert_eq!(declarations.function("mode"), None);
    let variables: Vec<_> = declarations.variables().iter().map(|it| it.ty.display_named(&it.name)).collect();
    assert_eq!(variables, ["enum mode mode", "enum mode modes[3]", "const char *names[]", "const char **environ"]);
    let cases = [
        ("point", Some("struct point")),
        ("struct point", Some("struct point")),
        ("union point", None),
        ("union word", Some("union word")),
        ("enum mode", Some("enum mode")),
        ("compare", Some("int (*)(const void *, const void *)")),
        ("table", Some("int[4]")),
        ("later", Some("struct later")),
        ("function", None),
        ("size_t", Some("unsigned long")),
        ("norm", None),
        ("FILE", None),
    ];
    for (name, written) in cases {
        assert_eq!(declarations.ty(name).map(|ty| ty.to_string()).as_deref(), written, "{name}");
    }
    let constants = ["READ", "WRITE", "APPEND", "norm"].map(|name| declarations.constant(name));
    assert_eq!(constants, [Some(1), Some(2), Some(16), None]);
    Ok(())
}

#[test]
fn definitions_come_before_their_use() -> Result<()> {
    let cases = [
        (
            "struct b; struct a { struct b *p; }; struct b { int x; }; void f(struct b, struct a)",
            "struct b;\nstruct a { struct b *p; };\nstruct b { int x; };\nvoid f(struct b, struct a);",
        ),
        (
            "struct b { int x; }; struct a { struct b *p; }; void f(struct a, struct b)",
            "struct b { int x; };\nstruct a { struct b *p; };\nvoid f(struct a, struct b);",
        ),
        (
            "struct a { struct b *p; struct b { struct a *up; } q; }; void f(struct a)",
            "struct a;\nstruct b { struct a *up; };\nstruct a { struct b *p; struct b q; };\nvoid f(struct a);",
        ),
        (
            "struct b; typedef struct { struct b *p; } u; struct b { int x; }; void f(u, struct b)",
            "struct b { int x; };\nvoid f(struct { struct b *p; }, struct b);",
        ),
        (
            "struct b; typedef int (*g)(struct b *); struct b { enum e { A } x; }; void f(g)",
            "enum e { A };\nstruct b { enum e x; };\nvoid f(int (*)(struct b *));",
        ),
        ("void f(struct a *x, struct a { int i; } y)", "struct a { int i; };\nvoid f(struct a *x, struct a y);"),
        ("FILE *f(const FILE *)", "struct _IO_FILE;\nstruct _IO_FILE *f(const struct _IO_FILE *);"),
        ("struct n { struct n *next; }; void f(struct n)", "struct n { struct n *next; };\nvoid f(struct n);"),
    ];
    for (text, declaration) in cases {
        let signature = Signature::parse(text)?;
        assert_eq!(signature.declaration(), declaration, "{text}");
        assert_eq!(Signature::parse(declaration)?, signature, "{text}");
    }
    Ok(())
}

#[test]
fn a_struct_knows_itself_by_its_tag_only() -> Result<()> {
    let node = Type::parse("struct node { struct node *next; int value; };")?;
    let members = node.as_aggregate().expect("a struct").members();
    let Type::Pointer(next) = &members[0].ty else { panic!("no pointer") };
    assert!(matches!(next.pointee(), Pointee::Incomplete(_, tag) if tag == "node"));
    let Type::Pointer(outside) = Type::parse("struct node { int value; }; struct node *")? else {
        panic!("no pointer")
    };
    assert!(matches!(outside.pointee(), Pointee::Type(Type::Aggregate(_))));
    Ok(())
}

#[test]
fn attributes_reach_the_layout() -> Result<()> {
    let cases = [
        ("struct { char c; int i; }", 8, 4),
        ("struct { char c; int i; } __attribute__((packed))", 5, 1),
        ("struct { char c; int i __attribute__((packed)); }", 5, 1),
        ("struct { char c; int i; } __attribute__((packed, aligned(2)))", 6, 2),
        ("struct { _Alignas(16) char c; }", 16, 16),
        ("struct { char c; } __attribute__((aligned))", 16, 16),
        ("struct { __attribute__((aligned(8))) char a, b; }", 16, 8),
        ("struct { char a, b __attribute__((aligned(8))), c; }", 16, 8),
        ("struct { float __attribute__((vector_size(16))) v; }", 16, 16),
        ("struct { int a : 3, b : 30; }", 8, 4),
        ("struct { char c; _Alignas(8) struct { int i; }; }", 16, 8),
        ("struct { int n; double d[]; }", 8, 8),
    ];
    for (text, size, align) in cases {
        let layout = layout::of(&Type::parse(text)?, Arch::HOST)?;
        assert_eq!((layout.size, layout.align), (size, align), "{text}");
    }
    Ok(())
}

#[test]
fn nesting_and_size_are_limited() {
    let nested = |open: &str, middle: &str, close: &str| format!("{}{middle}{}", open.repeat(5000), close.repeat(5000));
    let doubled = |line: fn(usize) -> String| (1..60).map(line).collect::<String>();
    let texts = [
        format!("int {}(void)", nested("(", "f", ")")),
        format!("int {}", nested("(*", "f", ")(void)")),
        nested("struct { ", "int a;", "} a;"),
        format!("int a[{}];", nested("(", "1", ")")),
        format!("int a[{}1];", "- ".repeat(5000)),
        format!("int f({});", nested("int (*)(", "int", ")")),
        format!("int {}p;", "*".repeat(5000)),
        format!("int p{};", "[1]".repeat(5000)),
        format!("int a[{}];", nested("sizeof(int[", "1", "])")),
        format!("struct {{ {} }} x;", nested("_Alignas(struct { ", "int a;", "}) int a;")),
        format!("int a[{}];", nested("1 + (", "1", ")")),
        "typedef int *t0;".to_owned() + &(1..100).map(|i| format!("typedef t{} *t{i};", i - 1)).collect::<String>(),
        "struct t0 { int a; };".to_owned()
            + &(1..100).map(|i| format!("struct t{i} {{ struct t{} a; }};", i - 1)).collect::<String>(),
        "typedef char t0[2];".to_owned() + &doubled(|i| format!("typedef t{} t{i}[2];", i - 1)),
        "typedef struct { int a; } t0;".to_owned()
            + &doubled(|i| format!("typedef struct {{ t{} a, b; }} t{i};", i - 1)),
        "typedef struct { } t0;".to_owned() + &doubled(|i| format!("typedef struct {{ t{} a, b; }} t{i};", i - 1)),
        "typedef struct { int a; } t0;".to_owned()
            + &doubled(|i| format!("typedef struct {{ t{} *a, *b; }} t{i};", i - 1)),
        "typedef int (*t0)(void);".to_owned() + &doubled(|i| format!("typedef t{0} (*t{i})(t{0}, t{0});", i - 1)),
        format!("int f({});", "int, ".repeat(2000)),
    ];
    // A small stack: what is left of it where a host calls in from deep inside.
    let reading = std::thread::Builder::new().stack_size(1536 << 10).spawn(move || {
        for text in &texts {
            let start: String = text.chars().take(60).collect();
            let error = declaration_error(Declarations::parse(text).expect_err(&start));
            let is_limit = ["nested more than", "consists of more than", "too large", "more than 1024"];
            assert!(is_limit.iter().any(|limit| error.message.contains(limit)), "{}: {start}", error.message);
        }
    });
    reading.expect("a thread starts").join().expect("no panic");
}

/// Pieces that declarations are made of, in and out of place.
const PIECES: &[&str] = &[
    "int",
    "long",
    "unsigned",
    "char",
    "double",
    "void",
    "struct",
    "union",
    "enum",
    "typedef",
    "extern",
    "const",
    "t",
    "s",
    "a",
    "b",
    "f",
    "x",
    "size_t",
    "_Complex",
    "_Alignas",
    "sizeof",
    "__attribute__",
    "((",
    "))",
    "packed",
    "aligned(8)",
    "vector_size(16)",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ";",
    ";",
    ",",
    "*",
    "*",
    ":",
    "=",
    "...",
    "+",
    "-",
    "<<",
    "1",
    "0",
    "4",
    "'c'",
    "\"s\"",
    "//",
    "/*",
    "*/",
    "#",
    "\\",
    "\n",
    "[[",
    "]]",
    "::",
    "asm",
    "_Atomic",
    "()",
    "{}",
    "\u{e9}",
    "\u{0}",
];

fn parse_all(text: &str) {
    for result in [Declarations::parse(text).map(drop), Type::parse(text).map(drop)] {
        if let Err(error) = result {
            assert!(!declaration_error(error).to_string().is_empty());
        }
    }
    if let Ok(signature) = Signature::parse(text) {
        let declaration = signature.declaration();
        assert_eq!(Signature::parse(&declaration).expect(&declaration), signature, "{text}\n{declaration}");
    }
}

#[test]
fn no_text_panics() {
    fn property(text: String) -> bool {
        parse_all(&text);
        true
    }
    QuickCheck::new().tests(2000).quickcheck(property as fn(String) -> bool);
}

#[test]
fn no_heap_of_pieces_panics() {
    fn property(choices: Vec<u8>) -> bool {
        let pieces: Vec<&str> = choices.iter().map(|choice| PIECES[*choice as usize % PIECES.len()]).collect();
        parse_all(&pieces.join(" "));
        true
    }
    QuickCheck::new().tests(5000).quickcheck(property as fn(Vec<u8>) -> bool);
}

#[test]
fn no_damaged_declaration_panics() {
    fn property(which: usize, at: usize, length: u8, piece: usize, kind: u8) -> bool {
        let texts = FUNCTIONS.iter().chain(TYPES).map(|(text, _)| *text).chain(REFUSED.iter().map(|case| case.0));
        let texts: Vec<&str> = texts.collect();
        let characters: Vec<char> = texts[which % texts.len()].chars().collect();
        let at = at % (characters.len() + 1);
        let end = (at + usize::from(length % 8)).min(characters.len());
        let inserted = PIECES[piece % PIECES.len()];
        let (middle, tail) = match kind % 3 {
            0 => ("", &characters[end..]),
            1 => (inserted, &characters[at..]),
            _ => ("", &characters[..0]),
        };
        let text: String = characters[..at].iter().copied().chain(middle.chars()).chain(tail.iter().copied()).collect();
        parse_all(&text);
        true
    }
    QuickCheck::new().tests(5000).quickcheck(property as fn(usize, usize, u8, usize, u8) -> bool);
}

/// A random type that C can declare, with the tags made from a counter so that none is defined twice.
fn random_type(g: &mut Gen, depth: usize, tags: &mut u32) -> Type {
    let scalars = [Type::Bool, Type::CHAR, Type::U8, Type::I32, Type::U64, Type::I128, Type::F32, Type::LONG_DOUBLE];
    if depth == 0 {
        return g.choose(&scalars).expect("some").clone();
    }
    let inner = random_type(g, depth - 1, tags);
    match u8::arbitrary(g) % 8 {
        0 => Type::Pointer(Pointer::to(inner)),
        1 => Type::Pointer(Pointer::to_const(inner)),
        2 => Type::array(inner, usize::arbitrary(g) % 4 + 1).expect("an array"),
        3 => Type::Pointer(Pointer::to_function(random_signature(g, depth - 1, tags))),
        4 | 5 => random_aggregate(g, depth, tags),
        6 => {
            *tags += 1;
            let constants = vec![(format!("A{tags}"), i128::from(i32::arbitrary(g))), (format!("B{tags}"), 7)];
            let tag = bool::arbitrary(g).then(|| format!("e{tags}"));
            Type::Enum(Arc::new(Enum::new(tag.as_deref(), constants).expect("an enum")))
        }
        _ => Type::vector(Type::F32, 16).expect("a vector"),
    }
}

fn random_aggregate(g: &mut Gen, depth: usize, tags: &mut u32) -> Type {
    let mut builder = if bool::arbitrary(g) { Type::structure() } else { Type::union() };
    for index in 0..usize::arbitrary(g) % 4 {
        let name = format!("m{index}");
        let bits = u32::arbitrary(g) % 32 + 1;
        let align = 1 << (u32::arbitrary(g) % 6);
        builder = match u8::arbitrary(g) % 6 {
            0 => builder.bit_field(&name, Type::U32, bits),
            1 => builder.push(Member::unnamed(Type::I32).with_bits(bits - 1)),
            2 => builder.push(Member::new(&name, random_type(g, depth - 1, tags)).with_align(align)),
            _ => builder.member(&name, random_type(g, depth - 1, tags)),
        };
    }
    if bool::arbitrary(g) {
        builder = builder.packed();
    }
    if bool::arbitrary(g) {
        builder = builder.aligned(32);
    }
    if bool::arbitrary(g) {
        *tags += 1;
        builder = builder.tag(&format!("t{tags}"));
    }
    builder.build().expect("an aggregate")
}

fn by_value(ty: Type) -> Type {
    if matches!(ty, Type::Array(_)) { Type::Pointer(Pointer::to(ty)) } else { ty }
}

fn random_signature(g: &mut Gen, depth: usize, tags: &mut u32) -> Signature {
    let result = if bool::arbitrary(g) { Type::Void } else { by_value(random_type(g, depth, tags)) };
    let parameters: Vec<Parameter> = (0..usize::arbitrary(g) % 4)
        .map(|index| {
            let ty = by_value(random_type(g, depth, tags));
            if bool::arbitrary(g) { Parameter::new(&format!("p{index}"), ty) } else { Parameter::unnamed(ty) }
        })
        .collect();
    let is_variadic = !parameters.is_empty() && bool::arbitrary(g);
    let signature = Signature::with_parameters(result, parameters).expect("a signature");
    if is_variadic { signature.variadic() } else { signature }
}

#[derive(Clone, Debug)]
struct AnySignature(Signature);

impl Arbitrary for AnySignature {
    fn arbitrary(g: &mut Gen) -> Self {
        let depth = usize::arbitrary(g) % 4;
        let signature = random_signature(g, depth, &mut 0);
        AnySignature(if bool::arbitrary(g) { signature.named("f") } else { signature })
    }
}

#[test]
fn signatures_read_back_as_written() {
    fn property(AnySignature(signature): AnySignature) -> TestResult {
        let declaration = signature.declaration();
        TestResult::from_bool(Signature::parse(&declaration).expect(&declaration) == signature)
    }
    QuickCheck::new().tests(2000).quickcheck(property as fn(AnySignature) -> TestResult);
}

#[test]
fn types_read_back_as_written() {
    fn property(AnySignature(signature): AnySignature) -> bool {
        signature.parameters().iter().map(|parameter| &parameter.ty).all(|ty| {
            let text = format!("{}{ty}", ty.definitions());
            Type::parse(&text).expect(&text) == *ty
        })
    }
    QuickCheck::new().tests(2000).quickcheck(property as fn(AnySignature) -> bool);
}

#[test]
fn later_texts_know_the_types_of_earlier_ones() {
    let first = Declarations::parse(
        "struct node { int value; struct node *next; }; struct later; typedef struct later later; enum { SIZE = 3 };
         int run(int); extern int level;",
    )
    .unwrap();
    let node = first.ty("struct node").unwrap();
    // Functions and variables are those of the text alone, and may be others of the same name.
    let second = first.parse_after("int length(struct node *); double run(double); extern long level;").unwrap();
    assert_eq!(second.functions().len(), 2);
    assert_eq!(second.variables().len(), 1);
    // The same definition again is the same type; tags that were promised may be defined, once.
    let third = second
        .parse_after(
            "struct node { int value; struct node *next; }; struct later { char name[SIZE]; struct node *node; };",
        )
        .unwrap();
    assert_eq!(third.ty("struct node"), Some(node));
    assert_eq!(third.parse_type("later").unwrap(), third.ty("struct later").unwrap());
    assert_eq!(third.constant("SIZE"), Some(3));
    assert!(third.functions().is_empty());
    for (text, words) in [
        ("struct node { int value; };", "struct node was defined otherwise before"),
        ("struct node { int value; struct later *next; };", "struct node was defined otherwise before"),
        ("struct later { char name[4]; struct node *node; };", "struct later was defined otherwise before"),
        ("struct node { int value; struct node *next; }; struct node { int value; struct node *next; };", "twice"),
        ("union node { int value; };", "declared as struct node"),
        ("typedef int later;", "later"),
        ("enum { SIZE = 4 };", "SIZE"),
    ] {
        let error = third.parse_after(text).unwrap_err().to_string();
        assert!(error.contains(words), "{text}: {error}");
    }
}
