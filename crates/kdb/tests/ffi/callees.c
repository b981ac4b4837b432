/* What tests call: functions that record what they get, byte for byte, and give what they are told to. */

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

unsigned long seen[16];
unsigned char pass[128];
char text[64];
long calls;
void *kept;

static void note(int at, const void *from, size_t size) {
    seen[at] = 0;
    memcpy(&seen[at], from, size);
}

/* Every type as an argument, as a result, as a callback's argument and as its result. */
#define ALL(name, type)                                                                                                \
    void see_##name(type a) { calls++; note(0, &a, sizeof a); }                                                        \
    type give_##name(void) { type r; calls++; memcpy(&r, pass, sizeof r); return r; }                                  \
    void hand_##name(void (*f)(type)) { type a; memcpy(&a, pass, sizeof a); f(a); calls++; }                           \
    void take_##name(type (*f)(void)) { type r = f(); note(0, &r, sizeof r); calls++; }

ALL(byte, unsigned char)
ALL(short, short)
ALL(int, int)
ALL(long, long)
ALL(real, float)
ALL(float, double)
ALL(pointer, void *)

void see_nothing(void) { calls++; }

/* Texts are copied before who passes them takes them back. */
void see_text(const char *a) {
    calls++;
    note(0, &a, sizeof a);
    if (a) snprintf(text, sizeof text, "%s", a);
}

void take_text(const char *(*f)(void)) { see_text(f()); }

/* A text that begins a page: the low byte of its address is 0. */
char *page(void) {
    char *at = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    strcpy(at, "aligned");
    return at;
}

/* Variables. */
unsigned char v_byte = 7;
short v_short = -2;
int v_int = 42;
long v_long = -5000000000;
float v_real = 1.5f;
double v_float = 2.5;
static unsigned char sixteen[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255};
unsigned char *v_guid = sixteen;
char *v_text = "variable";
void *v_none;
int *v_pointer = &v_int;
struct { short a; double b; char *c; int d; } v_struct[2] = {{1, 1.5, "one", 10}, {2, 2.5, "two", 20}};

/* Callbacks. */
int apply_int(int (*f)(int), int x) { calls++; return f(x); }
int apply_twice(int (*f)(int), int x) { int a = f(x); calls++; int b = f(x + 1); calls++; return a + b; }
int keep(void *f) { int same = kept == f; kept = f; return same; }
int call_kept(int x) { return ((int (*)(int))kept)(x); }
void nothing_for(void (*f)(int)) { f(1); calls++; }

static void *on_thread(void *f) {
    int r = ((int (*)(int))f)(5);
    note(0, &r, sizeof r);
    return 0;
}

int other_thread(void *f) {
    pthread_t thread;
    if (pthread_create(&thread, 0, on_thread, f)) return -1;
    return pthread_join(thread, 0);
}

static pthread_t waiting;
int start_thread(void *f) { seen[0] = 0; return pthread_create(&waiting, 0, on_thread, f); }
int join_thread(void) { return pthread_join(waiting, 0); }

double ranks(void *f, int n) {
    switch (n) {
    case 0: return ((double (*)(void))f)();
    case 1: return ((double (*)(int))f)(1);
    case 2: return ((double (*)(int, double))f)(1, 2.5);
    case 3: return ((double (*)(int, double, long))f)(1, 2.5, 3);
    case 4: return ((double (*)(int, double, long, float))f)(1, 2.5, 3, 4.5f);
    case 5: return ((double (*)(int, double, long, float, int))f)(1, 2.5, 3, 4.5f, 5);
    case 6: return ((double (*)(int, double, long, float, int, double))f)(1, 2.5, 3, 4.5f, 5, 6.5);
    case 7: return ((double (*)(int, double, long, float, int, double, long))f)(1, 2.5, 3, 4.5f, 5, 6.5, 7);
    case 8:
        return ((double (*)(int, double, long, float, int, double, long, float))f)(1, 2.5, 3, 4.5f, 5, 6.5, 7, 8.5f);
    case 9:
        return ((double (*)(int, double, long, float, int, double, long, float, int))f)(1, 2.5, 3, 4.5f, 5, 6.5, 7,
                                                                                          8.5f, 9);
    case 10:
        return ((double (*)(int, double, long, float, int, double, long, float, int, double))f)(1, 2.5, 3, 4.5f, 5, 6.5,
                                                                                                  7, 8.5f, 9, 10.5);
    }
    return -1;
}

/* errno. */
int set_it(int value) { errno = value; return 1; }
int get_it(void) { return errno; }

/* Variadic: the sum of `n` doubles. */
double sum_of(int n, ...) {
    va_list list;
    double sum = 0;
    va_start(list, n);
    while (n--) sum += va_arg(list, double);
    va_end(list);
    return sum;
}

void write_to(char *at) { at[0] = 'W'; }
