//! The program `fosi`.

/// Training allocates and frees tensors at every step. The system's allocator may return their memory to the system each
/// time, and the page faults that follow cost up to a sixth of the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    std::process::exit(fosi_lab::program::run())
}
