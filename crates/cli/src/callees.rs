//! The functions that `jitcall bench` calls, as a shared library: what foreign-function engines call lies in one, far
//! from the program that calls it.
//!
//! On some processors the distance counts. AMD's Zen 3 takes three cycles more for a jump that goes further than 2^36
//! bytes, as from a library to a program: functions in the program itself would flatter the direct call, which does not
//! leave it, and charge the stub with a way that no real call takes.
//!
//! They are also linked to the program, for where the library does not lie beside it. The structs are those of the
//! cases in `bench/cases.rs`.

// Each function is one of the table below, where its prototype stands.
#![allow(missing_docs)]

use std::arch::asm;
use std::ffi::c_void;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Point {
    x: f64,
    y: f64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Big24 {
    a: i64,
    b: f64,
    c: i64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct IntFloat {
    i: i32,
    f: f32,
}

macro_rules! callees {
    ($($symbol:ident = $name:literal: ($($argument:ident: $ty:ty),*) -> $result:ty $body:block)*) => {
        $(
            #[unsafe(no_mangle)]
            pub extern "C" fn $symbol($($argument: $ty),*) -> $result $body
        )*

        /// The symbol of a case's function.
        pub fn symbol(case: &str) -> &'static str {
            match case {
                $($name => stringify!($symbol),)*
                _ => panic!("there is no function for {case}"),
            }
        }

        /// The function's address, where this file is linked to the program.
        pub fn address(case: &str) -> *const c_void {
            match case {
                $($name => $symbol as *const c_void,)*
                _ => panic!("there is no function for {case}"),
            }
        }
    };
}

callees! {
    jitcall_callee_noop = "noop": () -> () {}

    jitcall_callee_add2 = "add2": (a: i32, b: i32) -> i32 { a.wrapping_add(b) }

    jitcall_callee_fma3 = "fma3": (a: f64, b: f64, c: f64) -> f64 { a * b + c }

    jitcall_callee_mix8 = "mix8":
    (a: i32, b: f64, c: i64, d: f32, e: *const c_void, f: f64, g: i32, h: i64) -> f64 {
        let integers = i64::from(a).wrapping_add(c).wrapping_add(e.addr() as i64).wrapping_add(g.into());
        integers.wrapping_add(h) as f64 + b + f64::from(d) + f
    }

    jitcall_callee_mix16 = "mix16": (
        a: i64, b: f64, c: i64, d: f64, e: i64, f: f64, g: i64, h: f64, i: i64, j: f64, k: i64, l: f64, m: i64,
        n: f64, o: i64, p: f64, q: i64, r: f64
    ) -> f64 {
        let integers = [a, c, e, g, i, k, m, o, q].into_iter().fold(0, i64::wrapping_add);
        integers as f64 + (((b + d) + (f + h)) + ((j + l) + (n + p)) + r)
    }

    jitcall_callee_loop0 = "loop0": (f: extern "C" fn(i32, i32) -> i32, turns: u64) -> i64 { call_back::<0>(f, turns) }
    jitcall_callee_loop1 = "loop1": (f: extern "C" fn(i32, i32) -> i32, turns: u64) -> i64 { call_back::<1>(f, turns) }
    jitcall_callee_loop2 = "loop2": (f: extern "C" fn(i32, i32) -> i32, turns: u64) -> i64 { call_back::<2>(f, turns) }
    jitcall_callee_loop3 = "loop3": (f: extern "C" fn(i32, i32) -> i32, turns: u64) -> i64 { call_back::<3>(f, turns) }

    jitcall_callee_point = "point": (point: Point) -> Point { Point { x: point.y, y: point.x } }

    jitcall_callee_big24 = "big24": (big: Big24) -> Big24 { Big24 { a: big.c, b: big.b, c: big.a } }

    jitcall_callee_intfloat = "intfloat":
    (pair: IntFloat) -> IntFloat { IntFloat { i: pair.i.wrapping_add(1), f: pair.f } }
}

/// Calls `f(turn, 1)` that many times, and sums the results. `LAYOUT` moves the loop by quarters of a cache line.
#[inline(always)]
fn call_back<const LAYOUT: usize>(f: extern "C" fn(i32, i32) -> i32, turns: u64) -> i64 {
    /// Instructions in a quarter of a cache line.
    const NOPS: usize = if cfg!(target_arch = "x86_64") { 16 } else { 4 };
    let mut sum = 0;
    // SAFETY: nothing is executed but instructions that do nothing.
    unsafe { asm!(".p2align 6", ".rept {}", "nop", ".endr", const LAYOUT * NOPS, options(nostack, preserves_flags)) };
    for turn in 0..turns {
        sum += i64::from(f(turn as i32, 1));
    }
    sum
}
