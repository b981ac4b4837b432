//! `jitcall call` from outside: commands, what they print, and how they fail.

mod program;

use std::path::Path;
use std::process::Output;

const LIBM: &[&str] = &["--library", "libm.so.6"];
const DIV: &str = "typedef struct { int quot, rem; } div_t; div_t div(int numerator, int denominator)";
const TM: &str = "struct tm { int tm_sec, tm_min, tm_hour, tm_mday, tm_mon, tm_year, tm_wday, tm_yday, tm_isdst; \
     long tm_gmtoff; const char *tm_zone; };";

fn jitcall(arguments: &[&str]) -> Output {
    let mut command = program::jitcall();
    command.arg("call").args(arguments).env("LC_ALL", "C").env("JITCALL_SAMPLE", "a \"sample\"\n");
    command.output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The output of a call that succeeds.
fn output(arguments: &[&str]) -> String {
    let output = jitcall(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "", "{arguments:?}");
    text(&output.stdout)
}

/// The error of a call that fails.
fn failure(arguments: &[&str]) -> String {
    let output = jitcall(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", text(&output.stdout));
    assert_eq!(text(&output.stdout), "", "{arguments:?}");
    text(&output.stderr)
}

fn assert_outputs(cases: &[(&[&str], &str)]) {
    for (arguments, expected) in cases {
        assert_eq!(output(arguments), *expected, "{arguments:?}");
    }
}

#[test]
fn numbers_come_and_go() {
    assert_outputs(&[
        (&["int abs(int)", "-5"], "5\n"),
        (&["int abs(int)", "--", "-5"], "5\n"),
        (&["int abs(int)", "-0x10"], "16\n"),
        (&["int abs(int)", "-017"], "15\n"),
        (&["int abs(int)", "-1e3"], "1000\n"),
        (&["int abs(int);", "-2147483647"], "2147483647\n"),
        (&["long labs(long)", "-9223372036854775807"], "9223372036854775807\n"),
        (
            &["unsigned long strtoul(const char *, char **, int)", "18446744073709551615", "null", "10"],
            "18446744073709551615\n",
        ),
        (&["unsigned char tolower(int)", "'A'"], "97\n"),
        (&["char tolower(int)", "'A'"], "97 'a'\n"),
        (&["char tolower(int)", "'\\n'"], "10 '\\n'\n"),
        (&["_Bool abs(int)", "-1"], "true\n"),
        (&["_Bool abs(_Bool)", "false"], "false\n"),
        (&["int abs(int)", "true"], "1\n"),
        (&["double strtod(const char *, char **)", "1e300", "null"], "1e300\n"),
        (&["double strtod(const char *, char **)", "0.1", "null"], "0.1\n"),
        (&["double atof(const char *)", "-nan"], "nan\n"),
        (&["void free(void *)", "null"], ""),
        (&["void srand(unsigned)", "0b101"], ""),
    ]);
}

#[test]
fn libm_calculates() {
    let cases: &[(&[&str], &str)] = &[
        (&["double pow(double, double)", "2", "10"], "1024\n"),
        (&["double pow(double x, double y)", "2", "-1"], "0.5\n"),
        (&["double fabs(double)", "-inf"], "inf\n"),
        (&["double fabs(double)", "-.5"], "0.5\n"),
        (&["double copysign(double, double)", "3", "-0"], "-3\n"),
        (&["double sqrt(double)", "nan"], "nan\n"),
        (&["float sqrtf(float)", "2"], "1.4142135\n"),
        (&["float powf(float, float)", "0.1", "1"], "0.1\n"),
        (&["double exp(double)", "1e4", "--errno"], "inf\nerrno: 34 (Numerical result out of range)\n"),
        (&["double exp(double)", "0", "--errno"], "1\nerrno: 0\n"),
        (&["double frexp(double, int *exponent)", "8", "@"], "0.5\nargument 2 (exponent): 4\n"),
        (&["double modf(double, double *)", "-3.25", "@"], "-0.25\nargument 2: -3\n"),
        (&["double _Complex conj(double _Complex)", "1+2i"], "1-2i\n"),
        (&["double _Complex conj(double _Complex)", "-1.5-2e-3i"], "-1.5+0.002i\n"),
        (&["double _Complex csqrt(double _Complex)", "{-4, 0}"], "0+2i\n"),
        (&["float _Complex cprojf(float _Complex)", "2.5i"], "0+2.5i\n"),
        (&["double creal(double _Complex)", "7"], "7\n"),
        (&["long double _Complex conjl(long double _Complex)", "0.1+2i"], "0.1-2i\n"),
        (&["long double fabsl(long double)", "-0.1"], "0.1\n"),
        (&["long double nextafterl(long double, long double)", "1e4000", "1e4000"], "1e+4000\n"),
        (&["long lround(double)", "2.5"], "3\n"),
    ];
    for (arguments, expected) in cases {
        assert_eq!(output(&[arguments, LIBM].concat()), *expected, "{arguments:?}");
        // Options may stand anywhere.
        assert_eq!(output(&[LIBM, arguments].concat()), *expected, "{arguments:?}");
    }
}

#[test]
fn long_double_has_all_its_digits() {
    let digits = if cfg!(target_arch = "x86_64") {
        "1.4142135623730950488\n"
    } else {
        "1.4142135623730950488016887242096980786\n"
    };
    let root = output(&[&["long double sqrtl(long double)", "2"], LIBM].concat());
    assert!(digits.starts_with(root.trim_end()) && root.len() > 19, "{root}");
}

#[test]
fn text_goes_both_ways() {
    assert_outputs(&[
        (&["size_t strlen(const char *)", "hello"], "5\n"),
        (&["size_t strlen(const char *)", "12345"], "5\n"),
        (&["size_t strlen(const char *)", ""], "0\n"),
        (&["size_t strlen(const char *)", "\\x41\\n\\101\\\\"], "4\n"),
        (&["size_t strlen(const char *)", "a\\0b"], "1\n"),
        (&["size_t strlen(const char *)", "\"null\""], "4\n"),
        (&["size_t strlen(const char *)", "0x10"], "4\n"),
        (&["size_t strlen(const char *)", "--", "-x"], "2\n"),
        (&["char *getenv(const char *)", "JITCALL_SAMPLE"], "\"a \\\"sample\\\"\\n\"\n"),
        (&["char *getenv(const char *)", "JITCALL_NO_SUCH"], "null\n"),
        (&["char *strerror(int)", "2"], "\"No such file or directory\"\n"),
        (
            &["char *strcpy(char *to, const char *)", "@16", "h\u{e9}llo"],
            "\"h\u{e9}llo\"\nargument 1 (to): \"h\u{e9}llo\"\n",
        ),
        (&["char *strtok(char *text, const char *)", "a,b", ","], "\"a\"\nargument 1 (text): \"a\\000b\"\n"),
        (&["char *strtok(char *text, const char *)", "ab", ","], "\"ab\"\n"),
    ]);
    let copied = output(&["int memcpy(void *to, const void *, size_t)", "@4", "\"\\x01\\xff\"", "2"]);
    let (_, memory) = copied.split_once('\n').expect("two lines");
    assert_eq!(memory, "argument 1 (to): 4 bytes\n  0000  01 ff 00 00                                      ....\n");
}

#[test]
fn pointers_are_printed_as_addresses() {
    assert_outputs(&[
        (&["void *memchr(const void *, int, size_t)", "\"abc\"", "'x'", "3"], "null\n"),
        (&["void *labs(void *)", "0x1234"], "0x1234\n"),
        (&["const char *labs(const void *)", "0x10"], "0x10 (no text there)\n"),
        (&["int (*labs(void *))(int)", "0x7f00"], "0x7f00\n"),
    ]);
}

#[test]
fn aggregates_come_and_go() {
    let timegm = format!("{TM} long timegm(struct tm *)");
    let epoch = "argument 1: {tm_sec: 0, tm_min: 0, tm_hour: 1, tm_mday: 1, tm_mon: 0, tm_year: 70, tm_wday: 4, \
         tm_yday: 0, tm_isdst: 0, tm_gmtoff: 0, tm_zone: \"GMT\"}\n";
    let shown = format!("3600\n{epoch}");
    assert_outputs(&[
        (&[DIV, "17", "5"], "{quot: 3, rem: 2}\n"),
        (&["struct { struct { int a[2]; } inner; } div(int, int)", "17", "5"], "{inner: {a: [3, 2]}}\n"),
        (&["union { long whole; int half[2]; } labs(long)", "-1"], "{whole: 1 | half: [1, 0]}\n"),
        (&["struct { unsigned low : 4, : 4, high : 8; } labs(long)", "-0x1234"], "{low: 4, high: 18}\n"),
        (&["typedef struct { int a, b; } pair; long labs(pair)", "{5, 0}"], "5\n"),
        (&["typedef struct { int a, b; } pair; long labs(pair)", "{ a: 5, }"], "5\n"),
        (&["typedef struct { int a, b; } pair; long labs(pair)", "{.a = 5}"], "5\n"),
        (&["typedef struct { int a, b; } pair; long labs(pair)", "{}"], "0\n"),
        (&["typedef union { int a; char b[8]; } either; long labs(either)", "{b: \"A\"}"], "65\n"),
        (
            &["struct { char text[4]; char rest[4]; } labs(long)", "0x0102030000636261"],
            "{text: \"abc\", rest: [0, 3, 2, 1]}\n",
        ),
        (&["typedef union { int a; char b[8]; } either; long labs(either)", "{b: {1, 1, 0, 0, 0, 0, 0, 0}}"], "257\n"),
        (&[&timegm, "{tm_mday: 1, tm_year: 70, tm_hour: 1}"], &shown),
        (&[&timegm, "@{0, 0, 1, 1, 0, 70, 0, 0, 0, 0, null}"], &shown),
        (
            &[
                "void qsort(int *, size_t, size_t, int (*)(const int *, const int *))",
                "@{3, 1, 2}",
                "3",
                "4",
                "&strcmp",
            ],
            "argument 1: [1, 2, 3]\n",
        ),
        (&["int memcmp(const short *, const short *, size_t)", "{1, 2}", "{1, 2}", "4"], "0\n"),
    ]);
}

#[test]
fn enums_go_by_name() {
    let color = "enum color { RED, GREEN, BLUE = 7 };";
    assert_outputs(&[
        (&[&format!("{color} enum color abs(enum color)"), "BLUE"], "BLUE (7)\n"),
        (&[&format!("{color} enum color abs(int)"), "GREEN"], "GREEN (1)\n"),
        (&[&format!("{color} enum color abs(int)"), "-5"], "5\n"),
        (&[&format!("{color} int printf(const char *, ...)"), "%d\\n", "BLUE"], "7\n2\n"),
    ]);
}

#[test]
fn vectors_come_and_go() {
    let declaration = "typedef double vector __attribute__((vector_size(16))); vector fabs(vector)";
    assert_eq!(output(&[&[declaration, "{-2.5, 0}"], LIBM].concat()), "[2.5, 0]\n");
}

#[test]
fn variadic_arguments_have_the_type_they_look_like() {
    assert_outputs(&[
        (&["int printf(const char *, ...)", "%d %s %.2f\\n", "5", "hi", "2.5"], "5 hi 2.50\n10\n"),
        (
            &["int printf(const char *, ...)", "%ld|%lu|%d\\n", "-3000000000", "18446744073709551615", "-1"],
            "-3000000000|18446744073709551615|-1\n36\n",
        ),
        (&["int printf(const char *, ...)", "%s %s %s\\n", "\"5\"", "5 apples", "{a}"], "5 5 apples {a}\n15\n"),
        (&["int printf(const char *, ...)", "%c%c %p %f\\n", "'a'", "'\\x62'", "0x10", "inf"], "ab 0x10 inf\n12\n"),
        (&["int printf(const char *, ...)", "plain\\n"], "plain\n6\n"),
        (&["int sscanf(const char *, const char *, ...)", "word 1", "%7s", "@8"], "1\nargument 3: \"word\"\n"),
        (
            &["int snprintf(char *out, size_t, const char *, ...)", "@16", "16", "%05d", "42"],
            "5\nargument 1 (out): \"00042\"\n",
        ),
        (
            &["int open(const char *, int, ...)", "/no/such", "0", "--errno"],
            "-1\nerrno: 2 (No such file or directory)\n",
        ),
    ]);
}

#[test]
fn repeated_calls_start_from_the_same_memory() {
    let output = output(&["char *strcat(char *to, const char *)", "@\"ab\\0\\0\"", "cd", "--repeat", "100"]);
    let (shown, time) = output.split_once("time: ").expect("a time");
    assert_eq!(shown, "\"abcd\"\nargument 1 (to): \"abcd\"\n");
    assert!(time.ends_with(" ns per call (100 calls)\n"), "{time}");
}

#[test]
fn libraries_are_searched_in_order() {
    let call = ["double pow(double, double)", "2", "3", "--library", "libc.so.6", "-l", "libm.so.6"];
    assert_eq!(output(&call), "8\n");
    assert_eq!(
        failure(&["int no_such_function(void)", "-l", "libc.so.6", "-l", "libm.so.6"]),
        "error: no symbol no_such_function in any of libc.so.6, libm.so.6\n"
    );
    let error = failure(&["int no_such_function(void)", "-l", "libc.so.6"]);
    assert!(error.starts_with("error: no symbol no_such_function in libc.so.6: "), "{error}");
    let error = failure(&["int f(void)", "-l", "no-such-library.so"]);
    assert!(error.starts_with("error: cannot open the library no-such-library.so: "), "{error}");
    assert_eq!(error.matches("no-such-library.so").count(), 2, "{error}");
}

#[test]
fn zlib_answers() {
    let found = ["/lib", "/usr/lib", "/lib64", "/usr/lib64"].iter().any(|folder| {
        let triple = if cfg!(target_arch = "x86_64") { "x86_64-linux-gnu" } else { "aarch64-linux-gnu" };
        [Path::new(folder).join("libz.so.1"), Path::new(folder).join(triple).join("libz.so.1")]
            .iter()
            .any(|path| path.exists())
    });
    if !found {
        eprintln!("left out: libz.so.1 is not installed");
        return;
    }
    let zlib = ["-l", "libz.so.1"];
    let crc = ["unsigned long crc32(unsigned long, const unsigned char *, unsigned)", "0", "123456789", "9"];
    assert_eq!(output(&[&crc[..], &zlib].concat()), "3421780262\n");
    let version = output(&[&["const char *zlibVersion(void)"][..], &zlib].concat());
    assert!(version.starts_with("\"1."), "{version}");
    let compress = "int compress(unsigned char *to, unsigned long *length, const unsigned char *, unsigned long)";
    let output = output(&[&[compress, "@64", "@{64}", "aaaaaaaaaaaaaaaaaaaa", "20"][..], &zlib].concat());
    assert!(output.starts_with("0\nargument 1 (to): 64 bytes\n  0000  78 9c 4b 4c"), "{output}");
    assert!(
        output.ends_with("argument 2 (length): [12]\n") || output.ends_with("argument 2 (length): [11]\n"),
        "{output}"
    );
}

#[test]
fn mistakes_are_pointed_at() {
    let cases: &[(&[&str], &str)] = &[
        (&["int abs(int)"], "abs: expected 1 argument, got 0"),
        (&["int abs(int)", "1", "2"], "abs: expected 1 argument, got 2"),
        (&["int printf(const char *, ...)"], "printf: expected at least 1 argument, got 0"),
        (
            &["int abs(int x)", "abc"],
            "argument 1 (x): expected int, got `abc`: no enum constant has that name\n  abc\n  ^^^",
        ),
        (&["int abs(int x)", "1.5"], "argument 1 (x): expected int, got `1.5`: not an integer in range\n  1.5\n  ^^^"),
        (
            &["int abs(int)", "2147483648"],
            "argument 1: expected int, got `2147483648`: out of range\n  2147483648\n  ^^^^^^^^^^",
        ),
        (&["int abs(int)", "12x"], "argument 1: expected the end of the number, found `x`\n  12x\n    ^"),
        (
            &["int abs(int)", "089"],
            "argument 1: a number that starts with 0 is octal, as in C: digits 0 to 7\n  089\n  ^^^",
        ),
        (
            &["int abs(int)", "null"],
            "argument 1: expected int, got `null`: an address is no value of that type\n  null\n  ^^^^",
        ),
        (&["int abs(int)", "'ab'"], "argument 1: expected `'` after the character, found `b`\n  'ab'\n    ^"),
        (&["_Bool abs(_Bool)", "2"], "argument 1: expected _Bool, got `2`: out of range\n  2\n  ^"),
        (
            &[DIV, "17", "abc"],
            "argument 2 (denominator): expected int, got `abc`: no enum constant has that name\n  abc\n  ^^^",
        ),
        (
            &["typedef struct { int a, b; } pair; long labs(pair p)", "{1, {2}}"],
            "argument 1 (p): expected int, got `{2}`: it has no members\n  {1, {2}}\n      ^^^",
        ),
        (
            &["struct pair { int a, b; }; long labs(struct pair p)", "{1}"],
            "argument 1 (p): expected struct pair, got `{1}`: expected 2 members, got 1\n  {1}\n  ^^^",
        ),
        (
            &["struct pair { int a, b; }; long labs(struct pair p)", "{a: 1, c: 2}"],
            "argument 1 (p): struct pair has no member `c`\n  {a: 1, c: 2}\n         ^",
        ),
        (
            &["struct pair { int a, b; }; long labs(struct pair p)", "{a: 1, 2}"],
            "argument 1 (p): expected the name of a member and `:`, found `2`\n  {a: 1, 2}\n         ^",
        ),
        (
            &["struct bits { unsigned a : 3; }; long labs(struct bits)", "{9}"],
            "argument 1: .a: expected unsigned int, got `{9}`: out of range of 3 bits\n  {9}\n  ^^^",
        ),
        (
            &["union either { int a; long b; }; long labs(union either)", "{a: 1, b: 2}"],
            "argument 1: expected union either, got `{a: 1, b: 2}`: a union takes one member: a or b\n  {a: 1, b: 2}\n  ^^^^^^^^^^^^",
        ),
        (
            &["enum color { RED, GREEN }; int abs(enum color)", "BLUE"],
            "argument 1: expected enum color, got `BLUE`: its constants are RED, GREEN\n  BLUE\n  ^^^^",
        ),
        (
            &["size_t strlen(const char *)", "a\\qb"],
            "argument 1: `\\q` is no escape: write `\\\\` for a backslash\n  a\\qb\n   ^^",
        ),
        (
            &["size_t strlen(const char *)", "\"ab"],
            "argument 1: expected `\"` after the text, found the end\n  \"ab\n     ^",
        ),
        (&["void free(void *)", "@x"], "argument 1: expected a number of bytes, `{` or `\"`, found `x`\n  @x\n   ^"),
        (
            &["void free(void *)", "@"],
            "argument 1: expected void *, got `@`: write how many bytes, as in @64\n  @\n  ^",
        ),
        (
            &[
                "void *bsearch(const int *, const int *, size_t, size_t, int (*)(void))",
                "{1}",
                "{1}",
                "1",
                "4",
                "&no_such",
            ],
            "argument 5: no library has a symbol `no_such`\n  &no_such\n  ^^^^^^^^",
        ),
        (&["double atof(const char *)", "1", "--libary", "x"], ""),
    ];
    for (arguments, expected) in cases {
        if expected.is_empty() {
            assert_eq!(jitcall(arguments).status.code(), Some(2), "{arguments:?}");
            continue;
        }
        assert_eq!(failure(arguments), format!("error: {expected}\n"), "{arguments:?}");
    }
}

#[test]
fn declarations_are_pointed_at() {
    assert_eq!(
        failure(&["double pow(doubel, double)", "1", "2"]),
        "error: line 1, column 12: expected a type, found `doubel`; did you mean `double`?\n  \
         double pow(doubel, double)\n             ^^^^^^\n"
    );
    assert_eq!(failure(&["struct pair { int a; };"]), "error: the declaration declares no function\n");
}

#[test]
fn wrong_usage_ends_with_2() {
    let run = |arguments: &[&str]| program::jitcall().args(arguments).output().unwrap();
    for arguments in [&["call"][..], &["no-such-command"], &[], &["call", "int abs(int)", "1", "--repeat", "0"]] {
        assert_eq!(run(arguments).status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn the_other_tier_answers_the_same() {
    let mut command = program::jitcall();
    let output = command.args(["call", DIV, "17", "5"]).env("JITCALL_TIER", "asm").output().unwrap();
    assert_eq!(text(&output.stdout), "{quot: 3, rem: 2}\n", "{}", text(&output.stderr));
}

/// A wrong address ends the call, not the program.
#[test]
fn faults_are_errors() {
    for extra in [&[][..], &["--errno"]] {
        let call = [&["unsigned long strlen(const void *s)", "0x10"], extra].concat();
        let message = failure(&call);
        assert!(message.starts_with("error: strlen(s = 0x10): SIGSEGV"), "{message}");
        assert!(message.contains("at 0x10"), "{message}");
    }
}
