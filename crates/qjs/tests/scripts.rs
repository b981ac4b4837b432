//! Scripts that use the module in real QuickJS programs, unchanged ones of four versions.
//!
//! A script passes if its program ends with status 0 and a last line `ok`, and reports no leak as it frees its runtime.

mod support;

use support::{hosts, scripts};

/// A test for each script on each host, the hosts of a script side by side so that they are built in parallel.
macro_rules! scripts {
    ($($name:ident),* $(,)?) => {
        $(mod $name {
            use super::{hosts, on};

            #[test]
            fn ng_0_16_2() {
                on(&hosts::NG_0_16_2, stringify!($name));
            }

            #[test]
            fn bellard_2026_06_04() {
                on(&hosts::BELLARD_2026_06_04, stringify!($name));
            }

            #[cfg(target_arch = "x86_64")]
            #[test]
            fn ng_0_13_0() {
                on(&hosts::NG_0_13_0, stringify!($name));
            }

            #[cfg(target_arch = "x86_64")]
            #[test]
            fn bellard_2021_03_27() {
                on(&hosts::BELLARD_2021_03_27, stringify!($name));
            }
        })*

        #[test]
        fn all_scripts_have_tests() {
            let mut listed = vec![$(stringify!($name)),*];
            listed.sort();
            assert_eq!(scripts::names(), listed);
        }
    };
}

scripts! { asynchronous, beyond, bun, callbacks, faults, leaks, libraries, qjsffi, values }

fn on(host: &hosts::Host, name: &str) {
    scripts::check(host.name, name, |script| host.command(script));
}
