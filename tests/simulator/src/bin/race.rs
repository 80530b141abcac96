//! `race PROGRAM ROUNDS DSN...` starts one pass for each DSN at the same moment, so many times, and
//! says whether each time exactly one had the lease.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "its output is what it is run for"
)]

use std::env;
use std::fs;
use std::process::ExitCode;
use std::time::Instant;

use simulator::Race;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [program, rounds, ledgers @ ..] = arguments.as_slice() else {
        eprintln!("usage: race PROGRAM ROUNDS DSN...");
        return ExitCode::from(2);
    };
    let (Ok(program), Ok(rounds), false) = (
        fs::canonicalize(program),
        rounds.parse(),
        ledgers.is_empty(),
    ) else {
        eprintln!("race: {program} is no file, {rounds} no number, or there is no DSN");
        return ExitCode::from(2);
    };
    let started = Instant::now();
    match Race::new(&program, ledgers).run(rounds) {
        Ok(tally) => {
            println!(
                "{} rounds of {} processes in {} s: one holder each, tokens {} to {} without gap or \
                 repetition",
                tally.rounds,
                ledgers.len(),
                started.elapsed().as_secs(),
                tally.first_token,
                tally.last_token
            );
            println!(
                "rounds won by each process: {:?}; the others refused with exit code 75, at the latest \
                 {} ms after the start; without a request in {} rounds, not counted in the rest",
                tally.won,
                tally.slowest_refusal.as_millis(),
                tally.counted
            );
            ExitCode::SUCCESS
        }
        Err(wrong) => {
            println!("FAILED: {wrong}");
            ExitCode::FAILURE
        }
    }
}
