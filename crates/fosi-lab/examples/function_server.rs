//! Serves one problem of `fosi solve` to another program, so that its solvers minimise the same function from the same
//! start: `function_server PROBLEM`.
//!
//! It prints one line of JSON that describes the problem, then answers requests until standard input ends.
//! A request is one byte and its arguments; numbers are 8 bytes, little-endian, and x and v have n of them:
//!
//! | request | answer |
//! |---|---|
//! | `s`, seed | the start x |
//! | `g`, x | f(x), then ∇f(x) |
//! | `h`, x, v | ∇²f(x)·v, exact |
//! | `e`, x | the relative error of the solution; NaN if no exact solution is known |
//!
//! The seed is a u64, all others are f64.

use std::fmt::Write as _;
use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Write};
use std::process::ExitCode;

use fosi_lab::problems::{self, Function, Problem};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name] = arguments.as_slice() else {
        return refuse("usage: function_server PROBLEM");
    };
    let problem = match problems::named(name) {
        Ok(problem) => problem,
        Err(error) => return refuse(&error.to_string()),
    };
    match serve(&problem) {
        Ok(()) => ExitCode::SUCCESS,
        // The other program has closed its end.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => refuse(&error.to_string()),
    }
}

fn refuse(reason: &str) -> ExitCode {
    eprintln!("{reason}");
    ExitCode::from(2)
}

/// The first line, which describes the problem.
fn description(problem: &Problem) -> String {
    let exact = problem.relative_error(&problem.start(0)).is_some();
    let mut line = format!(
        r#"{{"name":"{}","n":{},"nonnegative":{},"tolerance":{:?},"known_solution":{exact},"minima":["#,
        problem.name, problem.dim, problem.nonnegative, problem.tolerance
    );
    for (i, minimum) in problem.minima.iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(line, "{comma}{minimum:?}");
    }
    line + "]}"
}

fn serve(problem: &Problem) -> io::Result<()> {
    let mut connection = Connection {
        function: problem.function(),
        input: BufReader::new(io::stdin().lock()),
        output: BufWriter::new(io::stdout().lock()),
        x: vec![0.0; problem.dim],
        v: vec![0.0; problem.dim],
        answer: vec![0.0; problem.dim],
    };
    writeln!(connection.output, "{}", description(problem))?;
    connection.output.flush()?;
    while let Some(request) = connection.request()? {
        connection.answer(problem, request)?;
        connection.output.flush()?;
    }
    Ok(())
}

/// Input, output and buffers for vectors.
struct Connection<R, W> {
    function: Box<dyn Function>,
    input: R,
    output: W,
    x: Vec<f64>,
    v: Vec<f64>,
    answer: Vec<f64>,
}

impl<R: Read, W: Write> Connection<R, W> {
    /// The byte of the next request; `None` at the end of the input.
    fn request(&mut self) -> io::Result<Option<u8>> {
        let mut byte = [0];
        match self.input.read_exact(&mut byte) {
            Ok(()) => Ok(Some(byte[0])),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn answer(&mut self, problem: &Problem, request: u8) -> io::Result<()> {
        match request {
            b's' => {
                let mut seed = [0; 8];
                self.input.read_exact(&mut seed)?;
                write(&mut self.output, &problem.start(u64::from_le_bytes(seed)))
            }
            b'g' => {
                read(&mut self.input, &mut self.x)?;
                let value = self.function.gradient(&self.x, &mut self.answer);
                write(&mut self.output, &[value])?;
                write(&mut self.output, &self.answer)
            }
            b'h' => {
                read(&mut self.input, &mut self.x)?;
                read(&mut self.input, &mut self.v)?;
                self.function.product(&self.x, &self.v, &mut self.answer);
                write(&mut self.output, &self.answer)
            }
            b'e' => {
                read(&mut self.input, &mut self.x)?;
                let error = problem.relative_error(&self.x);
                write(&mut self.output, &[error.unwrap_or(f64::NAN)])
            }
            other => Err(io::Error::new(
                ErrorKind::InvalidData,
                format!("unknown request, byte {other}: s, g, h and e are known"),
            )),
        }
    }
}

fn read(input: &mut impl Read, numbers: &mut [f64]) -> io::Result<()> {
    let mut bytes = [0; 8];
    for number in numbers {
        input.read_exact(&mut bytes)?;
        *number = f64::from_le_bytes(bytes);
    }
    Ok(())
}

fn write(output: &mut impl Write, numbers: &[f64]) -> io::Result<()> {
    for number in numbers {
        output.write_all(&number.to_le_bytes())?;
    }
    Ok(())
}
