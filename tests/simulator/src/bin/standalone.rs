//! The two servers for trying the program out: `standalone [ADDRESS [SECONDS]]` starts an
//! Artifactory on port 8081 and a coreos-deploy on port 8082 of ADDRESS (127.0.0.1), publishes two
//! releases, and another one of `video-mobile` every SECONDS (60; 0: none) until it is ended.
#![expect(clippy::print_stdout, reason = "its output says what to connect to")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;
use std::{env, thread};

use simulator::{Artifactory, Auth, CoreosDeploy, Payload};

const USAGE: &str = "usage: standalone [ADDRESS [SECONDS]]";
const USER: &str = "sysadm";
const PASSWORD: &str = "letmein";

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let address = arguments
        .next()
        .map_or(Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)), |a| a.parse());
    let pause = arguments.next().map_or(Ok(60), |a| a.parse());
    let (Ok(address), Ok(pause), None) = (address, pause, arguments.next()) else {
        println!("{USAGE}");
        return ExitCode::from(2);
    };
    serve(address, Duration::from_secs(pause))
}

fn serve(address: IpAddr, pause: Duration) -> ExitCode {
    let artifactory = Artifactory::start_at(SocketAddr::new(address, 8081));
    artifactory.require(Auth::Basic(USER.to_owned(), PASSWORD.to_owned()));
    let deploy = CoreosDeploy::start_at(SocketAddr::new(address, 8082));
    deploy.deploy_takes(Duration::from_secs(2));
    println!("Artifactory: port 8081, user {USER}, password {PASSWORD}");
    println!("coreos-deploy: port 8082, token D3Pl0YT0Ken");
    publish(&artifactory, "user-api", "2.3.0");
    publish(&artifactory, "video-mobile", "1.0.1-22");
    if pause.is_zero() {
        loop {
            thread::park();
        }
    }
    for build in 23_u64.. {
        thread::sleep(pause);
        publish(&artifactory, "video-mobile", &format!("1.0.1-{build}"));
        // Nobody asks for them here, and they would grow for ever.
        artifactory.reset_requests();
        deploy.reset_requests();
    }
    ExitCode::SUCCESS
}

fn publish(artifactory: &Artifactory, app: &str, version: &str) {
    artifactory.publish(app, version, Payload::sample(app, version).build());
    println!("published {app} {version}");
}
