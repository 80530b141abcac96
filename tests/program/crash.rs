//! `kill -9` at every step of a pass: the passes that follow end in the state of an undisturbed
//! run, every POST has its committed intent, and no attempt has two.
//!
//! The servers are where the program is stopped: a request that hangs is a point in the pass that
//! is the same in every run. What lies between two requests is covered by kills at staggered times
//! and, by hand, by kills at every system call (`cargo test --test program crash:: -- --ignored`).

mod victim;

use std::sync::Mutex;
use std::time::{Duration, Instant};
use std::{iter, thread};

use simulator::Fault;

use crate::support::until;

use victim::Site;

/// Scenarios that run at once: they mostly wait.
const AT_ONCE: usize = 8;
/// Longer than any scenario lets its program live.
const FOR_EVER: Duration = Duration::from_secs(60);

type Scenario = (String, Box<dyn FnOnce(&str) + Send>);

/// Names a scenario: kills with `kill`, then settles.
fn scenario(name: impl Into<String>, kill: impl FnOnce(&Site) + Send + 'static) -> Scenario {
    let run = move |name: &str| {
        let site = Site::new();
        kill(&site);
        site.rig.artifactory.clear_faults();
        site.rig.deploy.clear_faults();
        site.settle(name);
    };
    (name.into(), Box::new(run))
}

/// Runs scenarios, some at once.
fn run_all(scenarios: Vec<Scenario>) {
    let queue = Mutex::new(scenarios.into_iter());
    let next = || queue.lock().ok()?.next();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| iter::from_fn(next).for_each(|(name, run)| run(&name)));
        }
    });
}

/// How many requests an undisturbed pass sends to Artifactory, and the paths of those to
/// coreos-deploy.
fn undisturbed() -> (usize, Vec<String>) {
    let site = Site::new();
    site.start();
    assert!(!site.wait());
    let paths = site.rig.deploy.requests().into_iter().map(|r| r.path);
    let counted = (site.rig.artifactory.requests().len(), paths.collect());
    assert_eq!(site.rig.deploy.posts().len(), victim::RELEASES.len());
    site.settle("undisturbed");
    counted
}

#[test]
fn killed_while_artifactory_reads_a_request() {
    let (count, _) = undisturbed();
    let kill = |number: usize| {
        move |site: &Site| {
            let before = u32::try_from(number - 1).unwrap();
            let artifactory = &site.rig.artifactory;
            artifactory.fault("", Fault::Delay(Duration::ZERO), Some(before));
            artifactory.fault("", Fault::Hang(FOR_EVER), Some(1));
            site.start();
            until("the request", || artifactory.requests().len() >= number);
            site.kill();
        }
    };
    let name = |number| format!("request {number} of {count} to Artifactory");
    run_all((1..=count).map(|n| scenario(name(n), kill(n))).collect());
}

#[test]
fn killed_while_coreos_deploy_reads_a_request() {
    let (_, paths) = undisturbed();
    let kill = |number: usize| {
        move |site: &Site| {
            let before = u32::try_from(number - 1).unwrap();
            let deploy = &site.rig.deploy;
            deploy.fault("", Fault::Delay(Duration::ZERO), Some(before));
            deploy.fault("", Fault::Hang(FOR_EVER), Some(1));
            site.start();
            site.until_deploy_got(number, "");
            site.kill();
        }
    };
    let each = |(index, path): (usize, &String)| {
        scenario(
            format!("request {} to coreos-deploy, {path}", index + 1),
            kill(index + 1),
        )
    };
    run_all(paths.iter().enumerate().map(each).collect());
}

#[test]
fn killed_around_a_post() {
    let mut scenarios = Vec::new();
    for post in [1, 2] {
        scenarios.push(scenario(
            format!("POST {post}: read, never done"),
            move |site| {
                let fault = |fault, times| site.rig.deploy.fault("/v1.0/deploy", fault, times);
                fault(Fault::Delay(Duration::ZERO), Some(post - 1));
                fault(Fault::Drop, Some(1));
                site.kill_at_post(post as usize);
                site.start();
                assert!(site.wait());
            },
        ));
        scenarios.push(scenario(
            format!("POST {post}: done, no reply"),
            move |site| {
                site.kill_at_post(post as usize);
                site.start();
                assert!(site.wait());
            },
        ));
        scenarios.push(scenario(
            format!("POST {post}: done seconds later"),
            move |site| {
                let fault = |fault, times| site.rig.deploy.fault("/v1.0/deploy", fault, times);
                fault(Fault::Delay(Duration::ZERO), Some(post - 1));
                fault(Fault::Delay(Duration::from_secs(3)), Some(1));
                site.kill_at_post(post as usize);
                site.start();
                assert!(site.wait());
            },
        ));
        scenarios.push(scenario(
            format!("POST {post}: in the middle of its reply"),
            move |site| {
                let fault = |fault, times| site.rig.deploy.fault("/v1.0/deploy", fault, times);
                fault(Fault::Delay(Duration::ZERO), Some(post - 1));
                fault(Fault::Drip, Some(1));
                site.start();
                site.until_deploy_got(post as usize, "/v1.0/deploy");
                until("a part of the reply", || site.rig.deploy.dripped() >= 5);
                site.kill();
            },
        ));
    }
    run_all(scenarios);
}

#[test]
fn killed_at_each_poll() {
    let kill = |polls: u32| {
        move |site: &Site| {
            site.rig
                .deploy
                .fault("/status/", Fault::Status(500), Some(polls));
            site.rig
                .deploy
                .fault("/status/", Fault::Hang(FOR_EVER), Some(1));
            // Past --unknown-hold the units are asked for in place of a status that is no answer.
            site.start_patient();
            site.until_deploy_got(polls as usize + 1, "/status/");
            site.kill();
        }
    };
    let name = |polls| format!("after {polls} polls");
    run_all((0..5).map(|n| scenario(name(n), kill(n))).collect());
}

#[test]
fn killed_again_while_it_recovers() {
    let mut scenarios = Vec::new();
    for done in [true, false] {
        for request in 1..=5 {
            let name = format!("POST done: {done}, then request {request} of the recovery");
            scenarios.push(scenario(name, move |site| {
                if !done {
                    site.rig.deploy.fault("/v1.0/deploy", Fault::Drop, Some(1));
                }
                site.kill_at_post(1);
                site.start();
                assert!(site.wait());
                // Past --unknown-hold the recovery goes all the way to a verdict.
                thread::sleep(victim::PAST_HOLD);
                let before = site.rig.deploy.requests().len();
                let deploy = &site.rig.deploy;
                deploy.fault("", Fault::Delay(Duration::ZERO), Some(request - 1));
                deploy.fault("", Fault::Hang(FOR_EVER), Some(1));
                site.start();
                site.until_deploy_got(before + request as usize, "");
                site.kill();
            }));
        }
    }
    run_all(scenarios);
}

#[test]
fn killed_at_staggered_times() {
    let site = Site::new();
    let started = Instant::now();
    site.start();
    assert!(!site.wait());
    let whole = started.elapsed();
    let kill = |time: Duration| {
        move |site: &Site| {
            site.start();
            thread::sleep(time);
            site.kill();
        }
    };
    let at = |number: u32| {
        scenario(
            format!("{number}/40 of {whole:?}"),
            kill(whole * number / 40),
        )
    };
    run_all((0..40).map(at).collect());
}

/// Kills at the n-th call, by any thread, of each system call that others can see the effect of.
#[test]
#[ignore = "takes minutes and needs strace"]
fn killed_at_every_system_call() {
    const CALLS: [&str; 11] = [
        "openat",
        "connect",
        "writev",
        "recvfrom",
        "write",
        "pwrite64",
        "fsync",
        "fcntl",
        "flock",
        "ftruncate",
        "unlink",
    ];
    let run = |call: &'static str| {
        // The counts of strace are of one thread: the first pass that is not killed is the last.
        for number in 1_u32.. {
            let site = Site::new();
            site.start_traced(&format!("inject={call}:signal=SIGKILL:when={number}"));
            let killed = site.wait();
            site.settle(&format!("killed at {call} number {number}: {killed}"));
            if !killed {
                println!("{call}: killed {} times", number - 1);
                break;
            }
        }
    };
    let queue = Mutex::new(CALLS.into_iter());
    let next = || queue.lock().ok()?.next();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| iter::from_fn(next).for_each(run));
        }
    });
}
