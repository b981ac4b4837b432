//! The C side: functions that call back.

use std::sync::OnceLock;

use jitcall::Library;

use crate::compile::{Compiler, Folder};

const SOURCE: &str = r#"
#include <pthread.h>
#include <stdlib.h>

int call_back(int (*f)(int), int x) { return f(x) + 0 * x; }

int call_with_ten(int (*f)(int, int, int, int, int, int, int, int, int, int), int x) {
    return f(x, 1, 2, 3, 4, 5, 6, 7, 8, 9) + 0 * x;
}

/* Calls with 0, 1 and so on, and keeps what comes back. */
void each(int (*f)(int), int count, int *results) {
    for (int i = 0; i < count; i++) results[i] = f(i);
}

struct big { long a[5]; };
struct big next_big(struct big (*f)(struct big), struct big x) { return f(f(x)); }

struct pair { long a; double b; };
struct pair next_pair(struct pair (*f)(struct pair), struct pair x) { return f(f(x)); }

struct job { pthread_t thread; int (*f)(int); int from, count, sum; };

static void *run(void *data) {
    struct job *job = data;
    for (int i = 0; i < job->count; i++) job->sum += job->f(job->from + i);
    return 0;
}

/* Calls on a thread of its own. */
void *start(int (*f)(int), int from, int count) {
    struct job *job = calloc(1, sizeof *job);
    job->f = f, job->from = from, job->count = count;
    if (pthread_create(&job->thread, 0, run, job)) abort();
    return job;
}

/* Waits for the thread; the sum of what the calls gave. */
int finish(void *data) {
    struct job *job = data;
    pthread_join(job->thread, 0);
    int sum = job->sum;
    free(job);
    return sum;
}

void on_threads(int (*f)(int), int threads, int count, int *sums) {
    void *jobs[64];
    for (int i = 0; i < threads; i++) jobs[i] = start(f, i * count, count);
    for (int i = 0; i < threads; i++) sums[i] = finish(jobs[i]);
}

int read_at(const int *p) { return *p; }
int call_and_read(int (*f)(int), int x, const int *p) { return f(x) + *p; }
"#;

pub(crate) const CALL_BACK: &str = "int call_back(int (*f)(int), int x)";
pub(crate) const CALL_WITH_TEN: &str =
    "int call_with_ten(int (*f)(int, int, int, int, int, int, int, int, int, int), int x)";
pub(crate) const EACH: &str = "void each(int (*f)(int), int count, int *results)";
pub(crate) const START: &str = "void *start(int (*f)(int), int from, int count)";
pub(crate) const FINISH: &str = "int finish(void *job)";
pub(crate) const ON_THREADS: &str = "void on_threads(int (*f)(int), int threads, int count, int *sums)";
pub(crate) const READ_AT: &str = "int read_at(const int *p)";
pub(crate) const CALL_AND_READ: &str = "int call_and_read(int (*f)(int), int x, const int *p)";

/// The compiled functions.
pub(crate) fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(|| compiled(Compiler::from_env(), SOURCE))
}

/// A source as a library.
pub(crate) fn compiled(compiler: Compiler, source: &str) -> Library {
    let folder = Folder::new();
    let files = compiler.compile(&folder, &[source.to_owned()]);
    // SAFETY: its initialisers are those of the compiler's own libraries.
    unsafe { Library::open(&files[0]) }.unwrap_or_else(|error| panic!("{error}"))
}
