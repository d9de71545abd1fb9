//! Builds or fetches the real parts, with visible progress, so that no test seems to hang on it.

fn main() {
    bed::parts::control_plane();
    bed::parts::kafka(bed::parts::KAFKA);
}
