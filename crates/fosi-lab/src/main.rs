//! The program `fosi`.

fn main() {
    std::process::exit(fosi_lab::program::run())
}
