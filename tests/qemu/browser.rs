//! A headless Chromium with one page, driven by the DevTools protocol through a pipe:
//! no port, so nothing of the machine's network is needed.
//!
//! The protocol: <https://chromedevtools.github.io/devtools-protocol/>. Over the pipe,
//! messages are JSON objects with a zero byte behind each.

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;
use xtask::tool;

/// How long a browser may say nothing. It needs a second or two for all that it is asked;
/// this is for a busy machine.
const SILENCE: Duration = Duration::from_secs(60);

/// What keeps it to itself. The sandbox does not work for root, or in a container, and
/// the only page that it sees is our own.
const OPTIONS: [&str; 12] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-crash-reporter",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--remote-debugging-pipe",
];

/// A browser with a page. It ends with this value, and when the pipe is closed, however
/// the process that holds it ends.
pub struct Browser {
    child: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    /// What has happened that was no answer, oldest first.
    pub events: Vec<Value>,
    profile: PathBuf,
    session: Option<String>,
    last: u64,
}

impl Browser {
    /// Starts the browser that `CHROMIUM` names, or `chromium`, with an empty page.
    /// `profile` is a folder of its own, which it may not outlive.
    pub fn start(profile: &Path) -> Result<Browser> {
        let named = std::env::var("CHROMIUM")
            .ok()
            .filter(|name| !name.is_empty());
        let program = named.unwrap_or_else(|| "chromium".into());
        tool::require(&program)?;
        // It takes messages from descriptor 3 and writes them to 4.
        let mut command = Command::new("sh");
        command
            .args([
                "-c",
                "exec \"$@\" 3<&0 4>&1 0</dev/null 1>&2",
                "sh",
                &program,
            ])
            .args(OPTIONS)
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = tool::spawn(&mut command)?;
        let (input, output) = child
            .stdin
            .take()
            .zip(child.stdout.take())
            .context("no pipe")?;
        let mut browser = Browser {
            child,
            input,
            messages: listen(output),
            events: Vec::new(),
            profile: profile.to_owned(),
            session: None,
            last: 0,
        };
        let made = browser.call("Target.createTarget", json!({"url": "about:blank"}))?;
        let target = json!({"targetId": made["targetId"], "flatten": true});
        let attached = browser.call("Target.attachToTarget", target)?;
        let session = attached["sessionId"].as_str().context("no session")?;
        browser.session = Some(session.to_owned());
        for domain in ["Page", "Runtime", "Log", "Network", "Accessibility"] {
            browser.call(&format!("{domain}.enable"), json!({}))?;
        }
        Ok(browser)
    }

    /// Has the browser do something, and waits for its answer.
    pub fn call(&mut self, method: &str, parameters: Value) -> Result<Value> {
        self.last += 1;
        let mut message = json!({"id": self.last, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        let mut bytes = serde_json::to_vec(&message)?;
        bytes.push(0);
        let sent = self
            .input
            .write_all(&bytes)
            .and_then(|()| self.input.flush());
        sent.with_context(|| format!("{method}: the browser has ended"))?;
        loop {
            let answer = self.receive().with_context(|| method.to_owned())?;
            if answer["id"] != self.last {
                self.events.push(answer);
                continue;
            }
            let error = &answer["error"];
            ensure!(error.is_null(), "{method}: {error}");
            return Ok(answer["result"].clone());
        }
    }

    /// Opens a file, and waits until it is loaded.
    pub fn open(&mut self, file: &Path) -> Result<()> {
        let url = format!("file://{}", file.display());
        let opened = self.call("Page.navigate", json!({"url": url}))?;
        let error = &opened["errorText"];
        ensure!(error.is_null(), "{url}: {error}");
        let is_loaded = |event: &Value| event["method"] == "Page.loadEventFired";
        while !self.events.iter().any(is_loaded) {
            let event = self.receive().with_context(|| url.clone())?;
            self.events.push(event);
        }
        Ok(())
    }

    /// The value of an expression in the page.
    pub fn value(&mut self, expression: &str) -> Result<Value> {
        let parameters = json!({"expression": expression, "returnByValue": true});
        let answer = self.call("Runtime.evaluate", parameters)?;
        let exception = &answer["exceptionDetails"];
        ensure!(exception.is_null(), "{expression}: {exception}");
        Ok(answer["result"]["value"].clone())
    }

    /// The events of one kind, by their parameters.
    pub fn happened<'a>(&'a self, method: &'a str) -> impl Iterator<Item = &'a Value> {
        let events = self.events.iter();
        let of_kind = events.filter(move |event| event["method"] == method);
        of_kind.map(|event| &event["params"])
    }

    fn receive(&self) -> Result<Value> {
        match self.messages.recv_timeout(SILENCE) {
            Ok(message) => Ok(message),
            Err(RecvTimeoutError::Timeout) => bail!("the browser said nothing for {SILENCE:?}"),
            Err(RecvTimeoutError::Disconnected) => Err(anyhow!("the browser has ended")),
        }
    }
}

/// Reads messages, in a thread that ends with the pipe.
fn listen(output: ChildStdout) -> Receiver<Value> {
    let (sender, messages) = channel();
    std::thread::spawn(move || {
        let mut output = BufReader::new(output);
        let mut message = Vec::new();
        while matches!(output.read_until(0, &mut message), Ok(1..)) {
            if message.pop() != Some(0) {
                break;
            }
            let Ok(value) = serde_json::from_slice(&message) else {
                break;
            };
            if sender.send(value).is_err() {
                // The receiver is gone, but the browser must not block on its way out.
                let _ = std::io::copy(&mut output.by_ref(), &mut std::io::sink());
                break;
            }
            message.clear();
        }
    });
    messages
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It ends its other processes if it is asked to end, and they would end when they
        // miss it. The pipe is closed when all are gone.
        self.session = None;
        if self.call("Browser.close", json!({})).is_ok() {
            while self.receive().is_ok() {}
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}
