/* What a C programmer writes by hand: functions for q around the callees, and loops that call back into q. */

#include "k.h"

extern double power(double, double);
extern int32_t add3(int32_t, int32_t, int32_t);
extern double half(double);

static K *items(K list)
{
    return (K *)list->elements;
}

/* Functions of their own rank. */

K hand_power(K a, K b)
{
    if (a->t != -FLOAT || b->t != -FLOAT)
        return krr("type");
    return kf(power(a->f, b->f));
}

K hand_add3(K a, K b, K c)
{
    if (a->t != -INT || b->t != -INT || c->t != -INT)
        return krr("type");
    return ki(add3(a->i, b->i, c->i));
}

/* Functions of one list that ends in (::). */

K hand_power_listed(K list)
{
    if (list->t != LIST || list->n != 3 || items(list)[2]->t != UNARY)
        return krr("rank");
    return hand_power(items(list)[0], items(list)[1]);
}

K hand_add3_listed(K list)
{
    if (list->t != LIST || list->n != 4 || items(list)[3]->t != UNARY)
        return krr("rank");
    return hand_add3(items(list)[0], items(list)[1], items(list)[2]);
}

/* Loops over vectors, by function pointers that the compiler knows nothing of. */

static double (*volatile one)(double) = half;
static double (*volatile two)(double, double) = power;

K hand_half_each(K a)
{
    if (a->t != FLOAT)
        return krr("type");
    double (*function)(double) = one;
    K result = ktn(FLOAT, a->n);
    const double *from = (const double *)a->elements;
    double *to = (double *)result->elements;
    for (int64_t i = 0, n = a->n; i < n; i++)
        to[i] = function(from[i]);
    return result;
}

K hand_power_each(K a, K b)
{
    if (a->t != FLOAT || b->t != FLOAT)
        return krr("type");
    if (a->n != b->n)
        return krr("length");
    double (*function)(double, double) = two;
    K result = ktn(FLOAT, a->n);
    const double *bases = (const double *)a->elements, *exponents = (const double *)b->elements;
    double *to = (double *)result->elements;
    for (int64_t i = 0, n = a->n; i < n; i++)
        to[i] = function(bases[i], exponents[i]);
    return result;
}

/* Calls of q with arguments that are ready. */

int64_t hand_repeat_int(K function, K arguments, int64_t count)
{
    int64_t sum = 0;
    for (int64_t i = 0; i < count; i++) {
        K result = dot(function, arguments);
        sum += result->i;
        r0(result);
    }
    return sum;
}

double hand_repeat_float(K function, K arguments, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        K result = dot(function, arguments);
        sum += result->f;
        r0(result);
    }
    return sum;
}

/* What is called back: the code of lambdas, as cheap as it can be. */

K increment(void *context, const K *arguments, long long count)
{
    return ki(arguments[0]->i + 1);
}

K sum(void *context, const K *arguments, long long count)
{
    return kf(arguments[0]->f + arguments[1]->f);
}

void keep(void *context)
{
}
