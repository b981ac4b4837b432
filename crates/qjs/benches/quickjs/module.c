/* What a C programmer writes by hand: a native module with the functions that the bench calls through ffi.so too. */

#include <math.h>
#include <stdlib.h>

#include "quickjs.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static JSValue js_abs(JSContext *ctx, JSValueConst this_value, int argc, JSValueConst *argv)
{
    int32_t value;
    if (JS_ToInt32(ctx, &value, argv[0]))
        return JS_EXCEPTION;
    return JS_NewInt32(ctx, abs(value));
}

static JSValue js_add3(JSContext *ctx, JSValueConst this_value, int argc, JSValueConst *argv)
{
    int32_t a, b, c;
    if (JS_ToInt32(ctx, &a, argv[0]) || JS_ToInt32(ctx, &b, argv[1]) || JS_ToInt32(ctx, &c, argv[2]))
        return JS_EXCEPTION;
    return JS_NewInt32(ctx, a + b + c);
}

static JSValue js_fabs(JSContext *ctx, JSValueConst this_value, int argc, JSValueConst *argv)
{
    double value;
    if (JS_ToFloat64(ctx, &value, argv[0]))
        return JS_EXCEPTION;
    return JS_NewFloat64(ctx, fabs(value));
}

static JSValue js_pow(JSContext *ctx, JSValueConst this_value, int argc, JSValueConst *argv)
{
    double base, exponent;
    if (JS_ToFloat64(ctx, &base, argv[0]) || JS_ToFloat64(ctx, &exponent, argv[1]))
        return JS_EXCEPTION;
    return JS_NewFloat64(ctx, pow(base, exponent));
}

/* Calls a function of JavaScript with 0, 1, ... as C's `repeat` does. */
static JSValue js_repeat(JSContext *ctx, JSValueConst this_value, int argc, JSValueConst *argv)
{
    int32_t count, sum = 0;
    if (JS_ToInt32(ctx, &count, argv[1]))
        return JS_EXCEPTION;
    for (int32_t i = 0; i < count; i++) {
        int32_t value;
        JSValue argument = JS_NewInt32(ctx, i);
        JSValue result = JS_Call(ctx, argv[0], JS_UNDEFINED, 1, &argument);
        if (JS_IsException(result) || JS_ToInt32(ctx, &value, result))
            return JS_EXCEPTION;
        sum += value;
    }
    return JS_NewInt32(ctx, sum);
}

static const JSCFunctionListEntry functions[] = {
    JS_CFUNC_DEF("abs", 1, js_abs),
    JS_CFUNC_DEF("add3", 3, js_add3),
    JS_CFUNC_DEF("fabs", 1, js_fabs),
    JS_CFUNC_DEF("pow", 2, js_pow),
    JS_CFUNC_DEF("repeat", 2, js_repeat),
};

static int export_functions(JSContext *ctx, JSModuleDef *module)
{
    return JS_SetModuleExportList(ctx, module, functions, COUNT(functions));
}

__attribute__((visibility("default"))) JSModuleDef *js_init_module(JSContext *ctx, const char *name)
{
    JSModuleDef *module = JS_NewCModule(ctx, name, export_functions);
    if (module)
        JS_AddModuleExportList(ctx, module, functions, COUNT(functions));
    return module;
}
