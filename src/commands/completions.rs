//! `completions`: the script that lets a shell complete the command line.

use clap_complete::Shell;

use crate::cli::{Cli, NAME};
use crate::exit::Exit;
use crate::output::Output;

/// Prints the completion script of a shell on stdout, made from the definitions that the command
/// line is parsed with.
pub fn run(output: &Output, shell: Shell) -> Exit {
    output.text(&script(shell));
    Exit::Success
}

fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command_line(), NAME, &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    // clap_complete writes the hyphens of the program's name in two ways, and bash then completes
    // nothing behind a command: https://github.com/clap-rs/clap/issues/6421
    script.replace(&NAME.replace('-', "__subcmd__"), &NAME.replace('-', "__"))
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_shell_completes_commands_and_options() {
        for shell in Shell::value_variants() {
            let script = script(*shell);
            for word in ["dry-run", "rollback", "art-endpoint", "newer-than"] {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
    }
}
