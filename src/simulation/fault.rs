//! What goes wrong.

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The process ends before a step.
    CrashBefore,
    /// The process ends after a step, of which it hears nothing.
    CrashAfter,
    /// The process stands still before a step.
    Pause,
    /// It stands still after a step, before it hears of it: of the commit of an intent, too.
    PauseAfter,
    /// The renewals of its lease don't reach the ledger, and have not for some time.
    RenewalsCut,
    /// The clock of the host is set.
    ClockStep,
    /// The ledger can't be reached; nothing is done.
    LedgerAway,
    /// The ledger has done it, and can't be reached to say so.
    LostCommit,
    /// The database fails over to a copy that has not seen the last acquisition of the lease. What
    /// a server loses that says it has it is not promised to be made up for: a deploy that was
    /// recorded as ended is one of the past.
    FailOver,
    /// Between two commands: the ledger is gone, and a new one is made.
    LedgerLost,
    /// Between two commands: the ledger is one of before.
    LedgerRestored,
    /// The request never arrives.
    LostRequest,
    /// The request stands in a queue on its way, and arrives before its reply is given up.
    SlowRequest,
    /// It arrives minutes later, and before `--unknown-hold` is over.
    LateRequest,
    /// Right before it arrives, a deploy of somebody else's service does, and takes long.
    Stranger,
    /// The reply never arrives.
    LostReply,
    /// The reply comes minutes later.
    LateReply,
    /// The request is refused.
    Refused,
    /// The service is not reached.
    TargetAway,
    /// The deploy fails.
    DeployFails,
    /// The service dies in a deploy.
    DeployDies,
    /// The deploy takes longer than `--deploy-timeout`.
    DeployHangs,
    /// The markers can't be read.
    MarkersAway,
    /// A marker is withdrawn.
    Withdrawn,
    /// The markers that were withdrawn are there again.
    MarkedAgain,
}

impl Fault {
    /// What may go wrong for any command.
    const ALWAYS: [Fault; 9] = [
        Fault::CrashBefore,
        Fault::CrashAfter,
        Fault::Pause,
        Fault::PauseAfter,
        Fault::ClockStep,
        Fault::LedgerAway,
        Fault::LostCommit,
        Fault::Withdrawn,
        Fault::MarkedAgain,
    ];
    /// What may go wrong for those that send.
    const SENDING: [Fault; 14] = [
        Fault::RenewalsCut,
        Fault::FailOver,
        Fault::TargetAway,
        Fault::MarkersAway,
        Fault::LostRequest,
        Fault::SlowRequest,
        Fault::LateRequest,
        Fault::Stranger,
        Fault::LostReply,
        Fault::LateReply,
        Fault::Refused,
        Fault::DeployFails,
        Fault::DeployDies,
        Fault::DeployHangs,
    ];

    /// Each command with each fault that may befall it.
    pub fn pairs() -> Vec<(&'static str, Fault)> {
        let more: [(&'static str, &'static [Fault]); 9] = [
            ("run", &Self::SENDING),
            ("deploy", &Self::SENDING),
            ("rollback", &Self::SENDING),
            ("settle", &[Fault::FailOver, Fault::TargetAway]),
            ("baseline", &[Fault::FailOver, Fault::TargetAway]),
            ("forget", &[Fault::MarkersAway]),
            ("hold", &[]),
            ("release", &[]),
            ("nobody", &[]),
        ];
        let of = |(command, own): (&'static str, &'static [Fault])| {
            let always: &[Fault] = match command {
                "nobody" => &[Fault::LedgerLost, Fault::LedgerRestored],
                _ => &Self::ALWAYS,
            };
            always.iter().chain(own).map(move |fault| (command, *fault))
        };
        more.into_iter().flat_map(of).collect()
    }
}
