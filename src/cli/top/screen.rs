//! The screen of `lagscale top`: as many rows as fit, redrawn in place, with colours where the terminal's user has them.

use std::{
    fmt::Write as _,
    io::{self, Stdout, Write},
};

use crate::{cli::output::table, overview::Row, text::shown};

/// Characters of a state in a table that nothing cuts to a terminal.
const STATE: usize = 200;

const RED: &str = "\x1b[31m";
const YELLOW: &str = "\x1b[33m";
const DIM: &str = "\x1b[2m";
const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

/// The terminal's other screen, for as long as it lives: the user's own comes back as it was.
pub(super) struct Screen {
    to: Stdout,
    colours: bool,
    wide: bool,
}

impl Screen {
    pub fn open(wide: bool) -> io::Result<Self> {
        let mut to = io::stdout();
        // The other screen, without a cursor.
        to.write_all(b"\x1b[?1049h\x1b[?25l")?;
        // https://no-color.org
        let colours = std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        Ok(Self { to, colours, wide })
    }

    /// Draws the rows, and above them why there are no values.
    pub fn draw(&mut self, rows: &[Row], trouble: Option<&str>) -> io::Result<()> {
        let size = rustix::termios::tcgetwinsize(&self.to)?;
        let size = (usize::from(size.ws_col), usize::from(size.ws_row));
        let text = text(rows, self.wide);
        let drawn = drawn(rows, &text, trouble, size, self.colours);
        self.to.write_all(drawn.as_bytes())?;
        self.to.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.to.write_all(b"\x1b[?25h\x1b[?1049l");
    }
}

/// The table alone; a wide one has further columns before the state, which is the longest.
pub(super) fn text(rows: &[Row], wide: bool) -> String {
    if rows.is_empty() {
        return "no ScaledObjects\n".to_owned();
    }
    let mut header = vec![
        "NAMESPACE",
        "NAME",
        "VALUE",
        "REPLICAS",
        "MAX",
        "READY",
        "ACTIVE",
        "READ",
    ];
    if wide {
        header.extend(["TARGET", "METRICS"]);
    }
    header.push("STATE");
    let mut cells = vec![header.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    cells.extend(rows.iter().map(|row| columns(row, wide)));
    table(&cells)
}

fn columns(row: &Row, wide: bool) -> Vec<String> {
    let none = || "-".to_owned();
    let number = |n: Option<i32>| n.map_or_else(none, |n| n.to_string());
    let values = row.metrics.iter().map(|m| m.value.as_deref());
    let values: Vec<&str> = values.map(|v| v.unwrap_or("<unknown>")).collect();
    let replicas = match (row.replicas, row.desired_replicas) {
        (Some(now), Some(wanted)) if now != wanted => format!("{now} -> {wanted}"),
        (now, _) => number(now),
    };
    let values = if values.is_empty() {
        none()
    } else {
        values.join(",")
    };
    let mut columns = vec![
        row.namespace.clone(),
        row.name.clone(),
        values,
        replicas,
        number(row.max_replicas),
        row.ready.clone(),
        row.active.clone(),
        row.read_seconds.map_or_else(none, |s| format!("{s}s")),
    ];
    if wide {
        let names: Vec<&str> = row.metrics.iter().map(|m| &*m.name).collect();
        let names = if names.is_empty() {
            none()
        } else {
            names.join(",")
        };
        columns.extend([row.target.clone(), names]);
    }
    columns.push(one_line(&row.state));
    columns
}

fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    shown(&words.join(" "), STATE)
}

/// All that is written for one screen of `size` columns and lines.
fn drawn(
    rows: &[Row],
    all: &str,
    trouble: Option<&str>,
    (width, height): (usize, usize),
    colours: bool,
) -> String {
    let mut lines = Vec::new();
    if let Some(trouble) = trouble {
        lines.push((one_line(trouble), RED));
    }
    let first = lines.len();
    for (n, line) in all.lines().enumerate() {
        let colour = match n.checked_sub(1).and_then(|n| rows.get(n)) {
            None => BOLD,
            Some(row) => colour(row),
        };
        lines.push((line.to_owned(), colour));
    }
    let hidden = lines.len().saturating_sub(height);
    if hidden > 0 {
        // The last line says how many are not there, its own row among them.
        lines.truncate(height.saturating_sub(1).max(first));
        lines.push((format!("and {} more", hidden + 1), DIM));
    }
    let mut screen = "\x1b[H".to_owned();
    for (n, (line, colour)) in lines.iter().enumerate() {
        let line: String = shown(line, usize::MAX).chars().take(width).collect();
        let (on, off) = if colours { (*colour, PLAIN) } else { ("", "") };
        let next = if n == 0 { "" } else { "\r\n" };
        let _ = write!(screen, "{next}{on}{line}{off}\x1b[K");
    }
    screen.push_str("\x1b[J");
    screen
}

/// Red where somebody has to do something, yellow where something is unusual, dim where it sleeps.
fn colour(row: &Row) -> &'static str {
    if row.ready == "False" {
        RED
    } else if !row.state.is_empty() {
        YELLOW
    } else if row.replicas == Some(0) {
        DIM
    } else {
        PLAIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overview::Metric;

    fn row(name: &str, value: Option<&str>, state: &str) -> Row {
        let metric = Metric {
            namespace: "shop".into(),
            object: name.into(),
            name: "s0-kafka-orders".into(),
            value: value.map(str::to_owned),
            withheld: String::new(),
            read: None,
        };
        Row {
            namespace: "shop".into(),
            name: name.into(),
            target: format!("Deployment/{name}"),
            metrics: vec![metric],
            replicas: Some(1),
            desired_replicas: Some(5),
            max_replicas: Some(5),
            ready: "True".into(),
            active: "True".into(),
            read_seconds: Some(3),
            state: state.into(),
        }
    }

    fn screen(rows: &[Row], trouble: Option<&str>, size: (usize, usize), colours: bool) -> String {
        drawn(rows, &text(rows, false), trouble, size, colours)
    }

    #[test]
    fn a_row_says_what_the_hpa_is_told_and_where_it_goes() {
        let rows = [
            row("orders", Some("25"), ""),
            row("mail", None, "two\nlines"),
        ];
        let said = text(&rows, false);
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(
            lines,
            [
                "NAMESPACE  NAME    VALUE      REPLICAS  MAX  READY  ACTIVE  READ  STATE",
                "shop       orders  25         1 -> 5    5    True   True    3s",
                "shop       mail    <unknown>  1 -> 5    5    True   True    3s    two lines",
            ]
        );
        let wide = text(&rows, true);
        let lines: Vec<&str> = wide.lines().collect();
        assert_eq!(
            lines,
            [
                "NAMESPACE  NAME    VALUE      REPLICAS  MAX  READY  ACTIVE  READ  TARGET             METRICS          STATE",
                "shop       orders  25         1 -> 5    5    True   True    3s    Deployment/orders  s0-kafka-orders",
                "shop       mail    <unknown>  1 -> 5    5    True   True    3s    Deployment/mail    s0-kafka-orders  two lines",
            ]
        );
        for wide in [false, true] {
            assert_eq!(text(&[], wide), "no ScaledObjects\n");
        }
    }

    #[test]
    fn a_screen_never_has_more_lines_or_columns_than_the_terminal() {
        let rows: Vec<Row> = (0..50)
            .map(|n| row(&format!("app{n}"), Some("25"), "a long story of trouble"))
            .collect();
        for (width, height) in [(80, 24), (20, 3), (1, 1), (0, 0), (200, 60)] {
            for trouble in [None, Some("nobody answers")] {
                let screen = screen(&rows, trouble, (width, height), false);
                let body = screen.strip_prefix("\x1b[H").unwrap();
                let body = body.strip_suffix("\x1b[J").unwrap();
                let lines: Vec<&str> = body.split("\r\n").collect();
                let most = height.max(1 + usize::from(trouble.is_some()));
                assert!(lines.len() <= most, "{} in {height}", lines.len());
                for line in lines {
                    let letters = line.strip_suffix("\x1b[K").unwrap().chars().count();
                    assert!(letters <= width, "{line}");
                }
            }
        }
        let screen = screen(&rows, None, (80, 24), false);
        assert!(screen.contains("app21") && !screen.contains("app22"));
        assert!(screen.contains("and 28 more"), "{screen}");
    }

    #[test]
    fn what_an_object_is_called_never_moves_the_cursor() {
        let rows = [row("\x1b[2Jgone", Some("1"), "")];
        let screen = screen(&rows, None, (80, 24), false);
        assert_eq!(screen.matches("\x1b[2J").count(), 0, "{screen}");
    }

    #[test]
    fn colours_are_for_rows_that_somebody_should_see() {
        let mut red = row("a", None, "no such topic");
        red.ready = "False".into();
        assert_eq!(colour(&red), RED);
        assert_eq!(colour(&row("b", None, "paused")), YELLOW);
        let mut asleep = row("c", Some("0"), "");
        asleep.replicas = Some(0);
        assert_eq!(colour(&asleep), DIM);
        let with = screen(&[red], None, (80, 24), true);
        assert!(with.contains(RED) && with.contains(PLAIN));
    }
}
