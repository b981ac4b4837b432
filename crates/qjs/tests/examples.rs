//! The examples of `docs/quickjs.md`, and those for JavaScript of `docs/gwsocket.md`, in real QuickJS programs.

mod support;

use support::{examples, hosts};

#[test]
fn ng_0_16_2() {
    on(&hosts::NG_0_16_2);
}

#[test]
fn bellard_2026_06_04() {
    on(&hosts::BELLARD_2026_06_04);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn ng_0_13_0() {
    on(&hosts::NG_0_13_0);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn bellard_2021_03_27() {
    on(&hosts::BELLARD_2021_03_27);
}

fn on(host: &hosts::Host) {
    examples::check(examples::OF_THE_MODULE, host.name, |script| host.command(script));
    examples::check_websockets(host.name, |script| host.command(script));
}
