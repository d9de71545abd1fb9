//! A real headless Chromium, driven by WebDriver (<https://www.w3.org/TR/webdriver2/>), which is HTTP with JSON.

use std::{path::Path, process::Command, time::Duration};

use k8s_openapi::ByteString;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{http::ask, parts, process::Child, wait};

const PATIENCE: Duration = Duration::from_secs(60);
/// How Chromium runs where it has no network but the loopback, and asks nobody by itself.
const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// A window with a page.
pub struct Browser {
    driver: Child,
    address: String,
    session: String,
    #[allow(dead_code, reason = "the profile lives in it, and goes with it")]
    folder: TempDir,
}

impl Browser {
    /// Opens one.
    pub async fn open() -> Self {
        let browser = parts::browser();
        let folder = TempDir::new().expect("a folder for a profile");
        let port = crate::free_port();
        let mut command = Command::new(&browser.driver);
        command.arg(format!("--port={port}"));
        let log = folder.path().join("chromedriver.log");
        let driver = Child::spawn("chromedriver", &mut command, &log);
        let mut opened = Self {
            driver,
            address: format!("127.0.0.1:{port}"),
            session: String::new(),
            folder,
        };
        wait::until("chromedriver", PATIENCE, async || {
            opened.ask("GET", "/status", &Value::Null).await.map(drop)
        })
        .await;
        opened.driver.must_live();
        let profile = opened.folder.path().join("profile").display().to_string();
        let profile = format!("--user-data-dir={profile}");
        let flags: Vec<&str> = FLAGS.into_iter().chain([&*profile]).collect();
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"binary": browser.chromium, "args": flags},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let made = opened.ask("POST", "/session", &wanted).await.unwrap();
        opened.session = made["sessionId"].as_str().expect("a session").to_owned();
        opened.size(1280, false).await;
        opened
    }

    /// Goes to an address.
    pub async fn go(&self, url: &str) {
        self.tell("POST", "url", &json!({"url": url})).await;
    }

    /// The value that a script returns in the page.
    pub async fn script(&self, script: &str) -> Value {
        let script = json!({"script": script, "args": []});
        self.tell("POST", "execute/sync", &script).await
    }

    /// Waits until a script returns `true`.
    pub async fn until(&self, script: &str) {
        wait::until(script, PATIENCE, async || {
            let found = self.script(script).await;
            if found == true { Ok(()) } else { Err(found) }
        })
        .await;
    }

    /// Presses and releases keys, one after the other; WebDriver's own characters are keys without one.
    pub async fn press(&self, keys: &str) {
        let key = |key| ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key}));
        let keys = keys.chars().map(String::from).flat_map(key);
        let keys: Vec<Value> = keys.collect();
        let actions = json!({"actions": [{"type": "key", "id": "keyboard", "actions": keys}]});
        self.tell("POST", "actions", &actions).await;
    }

    /// Clicks on the first element of a selector, as soon as there is one.
    pub async fn click(&self, selector: &str) {
        let wanted = json!({"using": "css selector", "value": selector});
        wait::until(selector, PATIENCE, async || {
            let path = format!("/session/{}/element", self.session);
            let found = self.ask("POST", &path, &wanted).await?;
            let id = found.as_object().and_then(|f| f.values().next()?.as_str());
            let click = format!("{path}/{}/click", id.expect("an element"));
            self.ask("POST", &click, &json!({})).await.map(drop)
        })
        .await;
    }

    /// Makes the page so many CSS pixels wide, for somebody who likes it dark or not.
    pub async fn size(&self, width: u32, dark: bool) {
        let size =
            json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600});
        self.developer("Emulation.setDeviceMetricsOverride", &size)
            .await;
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.developer("Emulation.setEmulatedMedia", &media).await;
    }

    /// Writes the whole page to a PNG file.
    pub async fn picture(&self, file: &Path) {
        let whole = json!({"format": "png", "captureBeyondViewport": true});
        let taken = self.developer("Page.captureScreenshot", &whole).await;
        let png: ByteString = serde_json::from_value(taken["data"].clone()).unwrap();
        std::fs::write(file, png.0).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    }

    /// Errors that the browser noted: of scripts, of requests, of what the page's policy forbids.
    pub async fn errors(&self) -> Vec<String> {
        let log = self
            .tell("POST", "se/log", &json!({"type": "browser"}))
            .await;
        let lines = log.as_array().into_iter().flatten();
        lines.map(|line| line["message"].to_string()).collect()
    }

    async fn developer(&self, command: &str, parameters: &Value) -> Value {
        let command = json!({"cmd": command, "params": parameters});
        self.tell("POST", "goog/cdp/execute", &command).await
    }

    async fn tell(&self, method: &str, path: &str, body: &Value) -> Value {
        let path = format!("/session/{}/{path}", self.session);
        let told = self.ask(method, &path, body).await;
        told.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    async fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let (code, body) = ask(&self.address, method, path, body).await?;
        let told = serde_json::from_str::<Value>(&body);
        let value = told.map_err(|error| error.to_string())?["value"].take();
        if code == 200 {
            Ok(value)
        } else {
            Err(value.to_string())
        }
    }
}
