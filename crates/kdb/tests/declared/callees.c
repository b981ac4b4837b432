/* What the tests of C declarations call. */
#include <complex.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct point { double x, y; };
struct line { struct point ends[2]; char name[8]; int width; };
union number { int i; double d; unsigned char bytes[8]; };
struct tagged { int kind; union { int i; double d; struct { short lo, hi; }; }; };
struct flags { unsigned a : 3, b : 5; int c : 4; _Bool on : 1; };
struct node { int value; struct node *next; };
struct big { long a[5]; };
struct one { float f; };
enum colour { RED, GREEN = 5, BLUE };
enum wide { LOW = -1, HIGH = 1 };

double norm1(struct point p) { return (p.x < 0 ? -p.x : p.x) + (p.y < 0 ? -p.y : p.y); }
struct point scaled(struct point p, double by) { return (struct point){ p.x * by, p.y * by }; }
struct line doubled(struct line l) {
    for (int i = 0; i < 2; i++) { l.ends[i].x *= 2; l.ends[i].y *= 2; }
    l.width *= 2;
    l.name[0] = 'D';
    return l;
}
union number as_number(double d) { return (union number){ .d = d }; }
double of_number(union number n) { return n.d; }
int kind_of(struct tagged t) { return t.kind == 1 ? t.i : t.kind == 2 ? (int)t.d : t.lo * 1000 + t.hi; }
struct flags make_flags(unsigned a, unsigned b, int c, _Bool on) { return (struct flags){ a, b, c, on }; }
int sum_flags(struct flags f) { return f.a * 1000 + f.b * 100 + f.c * 10 + f.on; }
int length(const struct node *node) { int n = 0; for (; node; node = node->next) n++; return n; }
struct big shifted(struct big b) { for (int i = 0; i < 5; i++) b.a[i] += i; return b; }
struct one half(struct one o) { return (struct one){ o.f / 2 }; }

unsigned char inc_uchar(unsigned char c) { return c + 1; }
signed char neg_schar(signed char c) { return -c; }
char next_char(char c) { return c + 1; }
_Bool not_bool(_Bool b) { return !b; }
unsigned short inc_ushort(unsigned short s) { return s + 1; }
unsigned int inc_uint(unsigned int i) { return i + 1; }
unsigned long inc_ulong(unsigned long l) { return l + 1; }
long double half_ld(long double d) { return d / 2; }
enum colour next_colour(enum colour c) { return c == RED ? GREEN : BLUE; }
enum wide same_wide(enum wide w) { return w; }
double _Complex turned(double _Complex z) { return z * I; }
__int128 squared(long x) { return (__int128)x * x; }

void divide(int a, int b, int *quotient, int *remainder) { *quotient = a / b; *remainder = a % b; }
int locate(int n, struct point *p) { p->x = n; p->y = n + 0.5; return n; }
double total(const double *v, int n) { double t = 0; for (int i = 0; i < n; i++) t += v[i]; return t; }
void doubles_in_place(double *v, int n) { for (int i = 0; i < n; i++) v[i] *= 2; }
long sum_uint(const unsigned *v, int n) { long t = 0; for (int i = 0; i < n; i++) t += v[i]; return t; }
void move(struct point *p, double by) { p->x += by; p->y += by; }
double norm1_of(const struct point *p) { return norm1(*p); }
const char *greeting(int which) { return which ? "hello" : NULL; }
int count_char(const char *text, char c) { int n = 0; for (; *text; text++) n += *text == c; return n; }
int fill(char *to, int n, char with) { memset(to, with, n); return n; }
int apply_int(int (*f)(int, double), int a) { return f(a, 0.5); }
int plus_one(int a, double d) { return a + 1 + (int)d; }
int apply_unsigned(int (*f)(unsigned)) { return f(1); }
void *no_address(void) { return NULL; }

int add_all(int count, ...) {
    va_list list;
    va_start(list, count);
    int total = 0;
    for (int i = 0; i < count; i++) total += va_arg(list, int);
    va_end(list);
    return total;
}
char *format(const char *pattern, ...) {
    static char text[256];
    va_list list;
    va_start(list, pattern);
    vsnprintf(text, sizeof text, pattern, list);
    va_end(list);
    return text;
}
int none(void) { return 7; }
long nine(long a, long b, long c, long d, long e, long f, long g, long h, unsigned i) {
    return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h + 9 * i;
}

int counter = 3;
struct point origin = { 1, 2 };
const char *title = "a title";

static int freed_count;
static void *freed_last;
void *claim(long n) { return malloc(n); }
void release(void *p) { freed_count++; freed_last = p; free(p); }
int releases(void) { return freed_count; }

int peek(const int *p) { return *p; }
double peek_point(const struct point *p) { return p->x; }
int fails(int code) { errno = code; return -1; }
