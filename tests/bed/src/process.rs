//! Child processes that never outlive us: killed on drop, and by a reaper if we are killed ourselves.

use std::{
    fs::File,
    io::Write,
    net::TcpListener,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child as StdChild, ChildStdin, Command, ExitStatus, Stdio},
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};

/// A port of the loopback that nobody listens on now, and that no outgoing connection is given before it is bound:
/// it lies below the ranges from which systems take those (Linux 32768, others 49152).
pub fn free_port() -> u16 {
    static NEXT: OnceLock<AtomicU32> = OnceLock::new();
    const PORTS: std::ops::Range<u16> = 12_000..32_000;
    let next = NEXT.get_or_init(|| {
        // Test programs that run side by side begin at different places.
        AtomicU32::new(std::process::id().wrapping_mul(7919))
    });
    for _ in PORTS {
        let place = next.fetch_add(1, Ordering::Relaxed) % u32::from(PORTS.end - PORTS.start);
        let port = PORTS.start + u16::try_from(place).unwrap_or(0);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port of the loopback in {PORTS:?}")
}

/// Reads `+ pid` and `- pid`; at the end of its input, which is our end, it kills what is left.
const REAPER: &str = r#"
while read -r op pid; do
  case "$op" in
    +) live="$live $pid" ;;
    -) next=; for p in $live; do [ "$p" = "$pid" ] || next="$next $p"; done; live=$next ;;
  esac
done
for p in $live; do kill -s KILL -- "-$p"; done
"#;

fn reaper(op: char, pid: u32) {
    static REAPER_INPUT: OnceLock<Mutex<ChildStdin>> = OnceLock::new();
    #[allow(
        clippy::zombie_processes,
        reason = "it outlives us: that is what it is for"
    )]
    let input = REAPER_INPUT.get_or_init(|| {
        let mut child = Command::new("sh")
            .args(["-c", REAPER])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("sh for the reaper");
        Mutex::new(child.stdin.take().expect("the reaper's input"))
    });
    let mut input = input
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let _ = writeln!(input, "{op} {pid}");
}

/// A running program in a process group of its own.
pub struct Child {
    name: String,
    process: StdChild,
    log: PathBuf,
}

impl Child {
    /// Starts `command` with its output going to `log` (appended).
    pub fn spawn(name: &str, command: &mut Command, log: &Path) -> Self {
        let file = File::options().create(true).append(true).open(log);
        let file = file.unwrap_or_else(|e| panic!("log {}: {e}", log.display()));
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a second handle of the log"))
            .stderr(file)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|e| panic!("{name} does not start: {e}"));
        reaper('+', child.id());
        Self {
            name: name.to_owned(),
            process: child,
            log: log.to_owned(),
        }
    }

    /// Everything it wrote so far.
    pub fn output(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().ok().flatten()
    }

    /// Panics with its last lines if it ended.
    pub fn must_live(&mut self) {
        if let Some(status) = self.ended() {
            let output = self.output();
            let tail: Vec<_> = output.lines().rev().take(20).collect();
            let tail: Vec<_> = tail.into_iter().rev().collect();
            panic!(
                "{} ended with {status}:\n{}\n(log: {})",
                self.name,
                tail.join("\n"),
                self.log.display()
            );
        }
    }

    /// Sends a signal to it and its children.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(i32::try_from(self.process.id()).unwrap_or(0)) {
            let _ = kill_process_group(pid, signal);
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// SIGSTOP.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// SIGTERM.
    pub fn tell_to_end(&self) {
        self.signal(Signal::TERM);
    }

    /// SIGTERM, and SIGKILL when `grace` has passed; returns how it ended.
    pub fn terminate(&mut self, grace: Duration) -> ExitStatus {
        self.tell_to_end();
        let until = Instant::now() + grace;
        while Instant::now() < until {
            if let Some(status) = self.ended() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.kill()
    }

    /// SIGKILL; returns how it ended.
    pub fn kill(&mut self) -> ExitStatus {
        self.signal(Signal::KILL);
        self.process.wait().expect("a child can be waited for")
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.ended().is_none() {
            self.kill();
        }
        reaper('-', self.process.id());
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        os::unix::process::{CommandExt, ExitStatusExt},
        process::{Command, Stdio},
    };

    use super::REAPER;

    #[test]
    fn what_is_left_when_its_input_ends_is_killed_by_the_reaper() {
        let sleeper = || {
            let mut command = Command::new("sleep");
            command.arg("600").process_group(0).spawn().unwrap()
        };
        let (mut left, mut ended) = (sleeper(), sleeper());
        let mut reaper = Command::new("sh")
            .args(["-c", REAPER])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = reaper.stdin.take().unwrap();
        let (one, other) = (left.id(), ended.id());
        write!(input, "+ {one}\n+ {other}\n- {other}\n").unwrap();
        drop(input);
        assert!(reaper.wait().unwrap().success());
        assert_eq!(left.wait().unwrap().signal(), Some(9));
        assert!(ended.try_wait().unwrap().is_none(), "it was taken back");
        ended.kill().unwrap();
        ended.wait().unwrap();
    }
}
