/* C functions that scripts call: one per type that gives back its argument, mixtures, callbacks, threads. */

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define IDENTITY(name, type) \
    type name(type value) \
    { \
        return value; \
    }

IDENTITY(id_bool, bool)
IDENTITY(id_char, char)
IDENTITY(id_i8, int8_t)
IDENTITY(id_u8, uint8_t)
IDENTITY(id_i16, int16_t)
IDENTITY(id_u16, uint16_t)
IDENTITY(id_i32, int32_t)
IDENTITY(id_u32, uint32_t)
IDENTITY(id_i64, int64_t)
IDENTITY(id_u64, uint64_t)
IDENTITY(id_f32, float)
IDENTITY(id_f64, double)
IDENTITY(id_pointer, void *)
IDENTITY(id_long_double, long double)

#ifdef __x86_64__
__attribute__((ms_abi)) double windows_mixed(int32_t a, double b, int32_t c, double d, int32_t e)
{
    return a + 10 * b + 100 * c + 1000 * d + 10000 * e;
}
#endif

/* Mixtures: each argument counts with another weight, so that a wrong place shows. */

double mix_registers(int8_t a, double b, uint32_t c, float d, int64_t e, uint16_t f)
{
    return a + 2 * b + 3.0 * c + 5 * (double)d + 7 * (double)e + 11.0 * f;
}

double mix_stack(int32_t a, int32_t b, int32_t c, int32_t d, int32_t e, int32_t f, int32_t g, int32_t h, int32_t i, int8_t j)
{
    return a + 2.0 * b + 3.0 * c + 5.0 * d + 7.0 * e + 11.0 * f + 13.0 * g + 17.0 * h + 19.0 * i + 23.0 * j;
}

double mix_floats(double a, float b, double c, float d, double e, float f, double g, float h, double i, float j)
{
    return a + 2 * (double)b + 3 * c + 5 * (double)d + 7 * e + 11 * (double)f + 13 * g + 17 * (double)h + 19 * i
        + 23 * (double)j;
}

int64_t add3(int32_t a, int32_t b, int32_t c)
{
    return (int64_t)a + b + c;
}

int sum_int(int count, ...)
{
    va_list list;
    int sum = 0;
    va_start(list, count);
    while (count-- > 0)
        sum += va_arg(list, int);
    va_end(list);
    return sum;
}

int64_t sum_many(
    int a1, int a2, int a3, int a4, int a5, int a6, int a7, int a8, int a9, int a10, int a11, int a12, int a13, int a14,
    int a15, int a16, int a17, int a18, int a19, int a20, int a21, int a22, int a23, int a24, int a25, int a26, int a27,
    int a28, int a29, int a30, int a31, int a32)
{
    return (int64_t)a1 + a2 + a3 + a4 + a5 + a6 + a7 + a8 + a9 + a10 + a11 + a12 + a13 + a14 + a15 + a16 + a17 + a18
        + a19 + a20 + a21 + a22 + a23 + a24 + a25 + a26 + a27 + a28 + a29 + a30 + 2 * (int64_t)a31 + 3 * (int64_t)a32;
}

/* Memory. */

int sum_and_reverse(uint8_t *bytes, int count)
{
    int sum = 0;
    for (int i = 0; i < count; i++)
        sum += bytes[i];
    for (int i = 0; i < count / 2; i++) {
        uint8_t byte = bytes[i];
        bytes[i] = bytes[count - 1 - i];
        bytes[count - 1 - i] = byte;
    }
    return sum;
}

void shout(char *text)
{
    for (; *text; text++)
        if (*text >= 'a' && *text <= 'z')
            *text -= 'a' - 'A';
}

int fail_with(int number)
{
    errno = number;
    return -1;
}

void divide(int dividend, int divisor, int *quotient, int *remainder)
{
    *quotient = dividend / divisor;
    *remainder = dividend % divisor;
}

int counter = 42;
double ratio = 0.5;
const char *greeting = "hello";

int read_counter(void)
{
    return counter;
}

/* Structs. */

struct point {
    double x, y;
};

struct line {
    struct point from, to;
    int32_t color;
};

struct small {
    int8_t a;
    int16_t b;
    float c;
};

union number {
    int32_t i;
    float f;
    double d;
};

struct grid {
    int32_t cells[2][3];
    uint8_t tail;
};

struct point swap(struct point p)
{
    return (struct point){p.y, p.x};
}

void move(struct point *p, double dx, double dy)
{
    p->x += dx;
    p->y += dy;
}

struct line reverse(struct line l)
{
    return (struct line){l.to, l.from, l.color + 1};
}

double length_squared(const struct line *l)
{
    double x = l->to.x - l->from.x, y = l->to.y - l->from.y;
    return x * x + y * y;
}

struct small negate(struct small s)
{
    return (struct small){-s.a, -s.b, -s.c};
}

union number halve(union number n)
{
    n.d /= 2;
    return n;
}

int sum_grid(struct grid g)
{
    int sum = g.tail;
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 3; j++)
            sum += g.cells[i][j] * (3 * i + j + 1);
    return sum;
}

/* Callbacks: one per type, which goes through it and back. */

#define THROUGH(name, type) \
    type name(type (*function)(type), type value) \
    { \
        return function(value); \
    }

THROUGH(through_bool, bool)
THROUGH(through_i8, int8_t)
THROUGH(through_u8, uint8_t)
THROUGH(through_i16, int16_t)
THROUGH(through_u16, uint16_t)
THROUGH(through_i32, int32_t)
THROUGH(through_u32, uint32_t)
THROUGH(through_i64, int64_t)
THROUGH(through_u64, uint64_t)
THROUGH(through_f32, float)
THROUGH(through_f64, double)
THROUGH(through_pointer, void *)
THROUGH(through_point, struct point)

void call_void(void (*function)(void))
{
    function();
}

int call_text(int (*function)(const char *), const char *text)
{
    return function(text);
}

int64_t repeat(int32_t (*function)(int32_t), int32_t count)
{
    int64_t sum = 0;
    for (int32_t i = 0; i < count; i++)
        sum += function(i);
    return sum;
}

static int32_t (*kept)(int32_t);

void keep(int32_t (*function)(int32_t))
{
    kept = function;
}

int32_t call_kept(int32_t value)
{
    return kept(value);
}

/* Threads. */

struct job {
    int32_t (*function)(int32_t);
    int32_t argument;
    int32_t result;
};

static void *run(void *data)
{
    struct job *job = data;
    job->result = job->function(job->argument);
    return NULL;
}

/* Calls it on another thread, and waits. */
int32_t call_on_thread(int32_t (*function)(int32_t), int32_t argument)
{
    pthread_t thread;
    struct job job = {function, argument, -1};
    if (pthread_create(&thread, NULL, run, &job) != 0)
        return -2;
    pthread_join(thread, NULL);
    return job.result;
}

static pthread_t started;
static struct job started_job;

/* Calls it on another thread, without waiting. */
int start_thread(int32_t (*function)(int32_t), int32_t argument)
{
    started_job = (struct job){function, argument, -1};
    return pthread_create(&started, NULL, run, &started_job);
}

int32_t join_thread(void)
{
    pthread_join(started, NULL);
    return started_job.result;
}
