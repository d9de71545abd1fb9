//! Argo CD's own judgement of a ScaledObject's health, from its Go module.

use std::{fs, path::Path};

use super::{cached, require, tools::module};

const MODULE: &str = "github.com/argoproj/argo-cd/v3";
const VERSION: &str = "3.4.5";
const SUM: &str = "h1:LJwNG3Ug/4IDtIneuW+SidzhT3EX3Y+RK+AMa4yleYw=";
const SCRIPT: &str = "resource_customizations/keda.sh/ScaledObject/health.lua";

/// The Lua script, which reads `obj` and returns `status` and `message`; fetched once.
pub fn argo_health() -> String {
    let dir = cached(&format!("argo-{VERSION}"), |dir| {
        require("go", &["version"], "Go 1.26 or newer");
        let script = Path::new(&module(MODULE, VERSION, SUM)).join(SCRIPT);
        let text = fs::read(script).expect("Argo CD's script");
        fs::write(dir.join("health.lua"), text).expect("a copy");
    });
    fs::read_to_string(dir.join("health.lua")).expect("the script")
}
