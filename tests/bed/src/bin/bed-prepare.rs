//! Builds or fetches the real parts, with visible progress, so that no test seems to hang on it.

use bed::parts;

fn main() {
    std::panic::set_hook(Box::new(|panic| {
        // One line for a person: what is missing and what to install.
        let text = panic.payload().downcast_ref::<String>();
        let text = text.map_or("failed", String::as_str);
        eprintln!("bed: {text}");
    }));
    parts::control_plane();
    for version in [parts::KAFKA, parts::KAFKA_3, parts::KAFKA_2] {
        parts::kafka(version);
    }
    parts::kafka_programs();
}
