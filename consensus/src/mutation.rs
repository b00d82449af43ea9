//! Deliberate protocol bugs, for those who check the checks: each breaks one rule at the place where the rule is kept, on
//! the servers whose [`crate::Config`] names it. Only with the feature `mutations`; without it nothing of this exists.

macro_rules! mutations {
    ($($name:ident $key:literal $rule:literal,)*) => {
        /// A protocol bug, by the rule that it breaks.
        #[cfg(feature = "mutations")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Mutation {
            $(#[doc = $rule] $name,)*
        }

        #[cfg(feature = "mutations")]
        impl Mutation {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name on a command line.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $key,)*
                }
            }

            /// The rule that it breaks.
            pub fn rule(self) -> &'static str {
                match self {
                    $(Self::$name => $rule,)*
                }
            }
        }

        #[cfg(feature = "mutations")]
        impl std::str::FromStr for Mutation {
            type Err = String;

            fn from_str(name: &str) -> Result<Self, String> {
                let found = Self::ALL.iter().find(|mutation| mutation.name() == name);
                found.copied().ok_or_else(|| format!("there is no mutation {name}"))
            }
        }
    };
}

mutations! {
    ForgetTerm "forget-term" "A term is durable before anything of it leaves.",
    VoteTwice "vote-twice" "A senator votes for one candidate a term.",
    VoteForStale "vote-for-stale" "A senator votes for those whose senate log is not behind its own.",
    SameServerOtherRun "same-server-other-run" "A term is granted again only to the same incarnation.",
    AckBeforeDurable "ack-before-durable" "An answer leaves when what it answers for is on disk.",
    AckEarly "ack-early" "A transaction is resolved when its fragments are on quorums, not on the consul's disk.",
    LateAck "late-ack" "The tails that a server reports hold everything that it ever acknowledges.",
    DropTail "drop-tail" "A vote carries the tails of all worker logs.",
    RotIsAbsence "rot-is-absence" "A damaged record is unknown, never absent.",
    CountOldTermInGroups "count-old-term" "A group's log is counted by an entry of the current term.",
    CountOldTermInSenate "count-old-term-in-senate" "The senate's log is counted by an entry of the current term.",
    ConfirmByOldTerm "no-noop" "The groups and their members are known when the no-op is committed.",
    OwnLog "own-log" "A consul adopts the highest log among a quorum, not its own.",
    SendBeforeAdopt "send-before-adopt" "Nothing of a group is sent before its log is adopted.",
    ForgetVoid "forget-void" "A fragment is void when a later term-start of its log has a lower cut.",
    CutAfterGap "cut-after-gap" "The cut stops at the first gap.",
    CutBelowBase "cut-below-base" "A base is a lower bound of the cut: who named what below it, its log can't tell any more.",
    DecideWithoutTermStarts "decide-without-term-starts" "The verdict is seen when the term-starts of all groups are on quorums, not when the first is.",
    ApplyUnresolved "apply-unresolved" "A follower applies what the consul calls resolved.",
    ApplyBeforeTermStart "apply-before-term-start" "A follower applies once its log has the current term's start.",
    ApplyHalves "apply-halves" "A follower applies a transaction when all of its fragments are there.",
    TruncateUnresolved "truncate-unresolved" "A log begins after what the state holds, not after what isn't resolved.",
    TruncateVoid "truncate-void" "A base may stand for void fragments when the verdict is final.",
    BaseWithoutTermStart "base-without-term-start" "A base knows the latest term-start below it.",
    PassOverUnseen "pass-over-unseen" "A CSN is passed over when every log is known to be complete up to it.",
    JointIgnored "joint-ignored" "Voters change by way of joint quorums.",
    NoBarrier "no-barrier" "A joint membership ends when a record of the current term is on both majorities.",
    DropEarly "drop-early" "A group is forgotten when every state has applied all of it, durably.",
    DropWithoutFloor "drop-without-floor" "The end of a dropped group is a lower bound of later cuts.",
    ForgetKeys "forget-keys" "A consul knows the keys of the transactions that it adopted.",
    ReadWithoutRound "read-without-round" "A strict read waits for a proof of office that is later than it.",
    LeaseWithoutDrift "lease-without-drift" "A lease is shorter than the election time-out by the drift of clocks.",
    LeaseAfterTransfer "lease-after-transfer" "There is no lease after a transfer was tried.",
}

/// Whether this node has the bug; never, without the feature. The holder has a field `mutation`.
macro_rules! mutated {
    ($holder:expr, $name:ident) => {{
        #[cfg(feature = "mutations")]
        {
            $holder.mutation == Some($crate::mutation::Mutation::$name)
        }
        #[cfg(not(feature = "mutations"))]
        {
            false
        }
    }};
}
pub(crate) use mutated;
