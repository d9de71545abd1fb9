//! Builds or fetches the real parts, with visible progress, so that no test seems to hang on it: those that the demo needs, and with
//! `--all` those of every test.

fn main() {
    std::panic::set_hook(Box::new(|panic| {
        // One line for a person: what is missing and what to install.
        let text = panic.payload().downcast_ref::<String>();
        let text = text.map_or("failed", String::as_str);
        eprintln!("bed: {text}");
    }));
    parts::control_plane();
    parts::kafka(parts::KAFKA);
    if std::env::args().any(|arg| arg == "--all") {
        for version in [parts::KAFKA_3, parts::KAFKA_2] {
            parts::kafka(version);
        }
        parts::kafka_programs();
        let tools = [
            parts::helm,
            parts::promtool,
            parts::umoci,
            parts::operator_verify,
            parts::adapter,
        ];
        for tool in tools {
            tool();
        }
        parts::keda(parts::KEDA);
    }
}
