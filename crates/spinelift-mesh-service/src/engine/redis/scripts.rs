//! What is done on the server in one step each: Lua scripts, made of the parts that they need.

use redis::Script;
use std::sync::LazyLock;

/// A script and its name in errors.
pub(super) struct Command {
    pub(super) name: &'static str,
    pub(super) script: LazyLock<Script>,
}

/// Makes a constant of each line: the script of its name, below the parts that are listed.
macro_rules! commands {
    ($($constant:ident = $name:literal [$($part:literal),*];)*) => {
        $(pub(super) static $constant: Command = Command {
            name: $name,
            script: LazyLock::new(|| Script::new(concat!(
                include_str!("scripts/base.lua"),
                $(include_str!(concat!("scripts/", $part, ".lua")),)*
                include_str!(concat!("scripts/", $name, ".lua")),
            ))),
        };)*
    };
}

commands! {
    ACCEPT = "accept" ["queue", "accepting"];
    ACCEPT_BATCH = "accept_batch" ["queue", "accepting"];
    TAKE = "take" ["queue"];
    RETIRE = "retire" ["queue"];
    FINISH = "finish" ["queue", "outbox", "ending", "results"];
    RELEASE = "release" ["queue"];
    CANCEL = "cancel" ["queue", "outbox", "ending"];
    DELETE = "delete" ["outbox", "results", "forgetting"];
    EXPIRE = "expire" ["outbox", "results", "forgetting"];
    RECORD = "record" [];
    PAGE = "page" [];
    CHECK_ROOM = "check_room" ["queue", "accepting"];
    BACKLOG = "backlog" [];
    PROGRESS = "progress" [];
    SHRINK = "shrink" ["results"];
    CACHED = "cached" [];
    FORGET_RESULT = "forget_result" ["results"];
    UNUSED = "unused" [];
    SECRET = "secret" [];
    DUE = "due" ["outbox"];
    HAND_OUT = "hand_out" ["outbox"];
    ATTEMPTED = "attempted" ["outbox"];
    DELIVERIES = "deliveries" [];
    REPLAY = "replay" ["outbox"];
    GIVE_BACK = "give_back" ["outbox"];
    UNDELIVERED = "undelivered" [];
    HEARTBEAT = "heartbeat" ["queue"];
    REAP = "reap" ["queue", "leases"];
    ENTER = "enter" [];
    LEAVE = "leave" [];
    COMPARE = "compare" ["leases"];
    TELL = "tell" [];
    CHECK = "check" [];
    INSPECT = "inspect" [];
}
