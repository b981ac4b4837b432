//! Which functions of C's library, and of a few others, are variadic: letters do not say.

/// Each with the number of its named parameters, in alphabetical order. `.` among the letters says it of any other.
const FUNCTIONS: &[(&str, usize)] = &[
    ("asprintf", 2),
    ("curl_easy_getinfo", 2),
    ("curl_easy_setopt", 2),
    ("dprintf", 2),
    ("err", 2),
    ("error", 3),
    ("errx", 2),
    ("execl", 2),
    ("execle", 2),
    ("execlp", 2),
    ("fcntl", 2),
    ("fprintf", 2),
    ("fscanf", 2),
    ("fwprintf", 2),
    ("ioctl", 2),
    ("mq_open", 2),
    ("mremap", 4),
    ("open", 2),
    ("open64", 2),
    ("openat", 3),
    ("prctl", 1),
    ("printf", 1),
    ("ptrace", 1),
    ("scanf", 1),
    ("sem_open", 2),
    ("semctl", 3),
    ("snprintf", 3),
    ("sprintf", 2),
    ("sqlite3_config", 1),
    ("sqlite3_db_config", 2),
    ("sqlite3_mprintf", 1),
    ("sqlite3_snprintf", 3),
    ("sscanf", 2),
    ("swprintf", 3),
    ("syscall", 1),
    ("syslog", 2),
    ("ulimit", 1),
    ("verr", 2),
    ("warn", 1),
    ("warnx", 1),
    ("wprintf", 1),
];

/// How many parameters a function names before `...`; `None` where it is not known to be variadic.
pub(crate) fn fixed(name: &str) -> Option<usize> {
    FUNCTIONS.binary_search_by_key(&name, |(name, _)| name).ok().map(|index| FUNCTIONS[index].1)
}
