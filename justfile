# The commands of CONTRIBUTING.md: `just` lists them.

# List the commands
default:
    @just --list

# Everything that CI checks
ci:
    .ci/run

# Format
fmt:
    cargo fmt --all

# Lints, as CI has them, but for the crate that needs an MPI
lint:
    cargo clippy --all-targets --locked -- -D warnings

# The algorithm's own tests, without Burn: the quickest answer
test-core:
    cargo test -p fosi --locked

# The tests of several processes, which need an MPI
test-mpi:
    cargo test --workspace --locked --features fosi-mpi/program --test mpirun --test program

# All tests, or those whose name has the text
test name="":
    cargo test --locked {{name}}

# Documentation of the crates, opened in a browser
doc:
    cargo doc --no-deps --locked --features fosi-burn/train --open

# The book, served while it is edited
book:
    mdbook serve docs --open

# The book and its links, once
book-check:
    mdbook build docs
    scripts/check-links

# The book's page of options, from the program
options:
    cargo build --release --locked -p fosi-lab
    scripts/options target/release/fosi

# One example of the crate `fosi`
example name:
    cargo run --release --locked -p fosi --example {{name}}

# The benchmarks, and their table
bench:
    cargo bench
    bench/summary

# The paper's experiments on quadratics
quadratics out="quadratic":
    cargo run --release --locked -- quadratic all --out {{out}}

# Fuzz every reader for so many seconds
fuzz seconds="60":
    scripts/fuzz {{seconds}}

# Public interfaces against the last release
semver:
    scripts/semver
