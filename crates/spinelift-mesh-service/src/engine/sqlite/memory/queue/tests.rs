use super::*;

const fn lanes(server: usize, client: usize) -> Lanes {
    Lanes { server, client }
}

const ONE: Lanes = lanes(1, 1);
const EACH_SERVER: Lanes = lanes(2, usize::MAX);
const MANY: Lanes = lanes(8, 8);

fn job(id: &str, server: &str) -> Waiting<String> {
    Waiting::at(server.to_owned(), id.to_owned())
}

async fn pop(queue: &Queue<String>) -> (String, Lane) {
    let (job, lane) = queue.pop().await.expect("open");
    (job.id, lane)
}

#[tokio::test]
async fn a_server_that_hangs_holds_up_its_own_jobs_only() {
    let hanging = (0..10).map(|n| job(&format!("h{n}"), "hangs"));
    let queue = Queue::new(100, EACH_SERVER, hanging);
    queue.push(job("a0", "works"));
    queue.push(job("a1", "works"));
    let mut lanes = Vec::new();
    let mut order = Vec::new();
    for _ in 0..4 {
        let (id, lane) = pop(&queue).await;
        order.push(id);
        lanes.push(lane);
    }
    assert_eq!(order, ["h0", "a0", "h1", "a1"]);
    assert_eq!(queue.backlog().waiting, 8);
    let mut next = Box::pin(pop(&queue));
    assert!(
        futures_poll(&mut next).await.is_none(),
        "both lanes are taken"
    );
    drop(lanes.remove(0));
    assert_eq!(next.await.0, "h2");
}

#[tokio::test]
async fn what_comes_from_no_server_waits_for_none() {
    let queue = Queue::new(100, ONE, (0..3).map(|n| job(&format!("u{n}"), "")));
    let mut lanes = Vec::new();
    for n in 0..3 {
        let (id, lane) = pop(&queue).await;
        assert_eq!(id, format!("u{n}"));
        lanes.push(lane);
    }
}

#[tokio::test]
async fn what_is_removed_does_not_come_and_what_is_put_back_comes_first() {
    let queue = Queue::new(3, MANY, [job("a", "s"), job("b", "s"), job("c", "s")]);
    assert_eq!(queue.room(), 0);
    let (first, lane) = queue.pop().await.expect("open");
    queue.put_back(first);
    drop(lane);
    queue.remove(&[job("b", "s")]);
    assert_eq!(queue.room(), 1);
    assert_eq!(pop(&queue).await.0, "a");
    assert_eq!(pop(&queue).await.0, "c");
    {
        let state = queue.shared.state.lock();
        assert!(state.clients.is_empty() && state.busy.is_empty() && state.turns.is_empty());
    }
    queue.close();
    assert!(queue.pop().await.is_none());
}

fn job_of(client: &str, id: &str, server: &str) -> Waiting<String> {
    Waiting {
        client: client.to_owned(),
        ..job(id, server)
    }
}

#[tokio::test]
async fn a_client_with_many_servers_leaves_room_for_others_and_for_its_uploads() {
    let loading = (0..10).map(|n| job_of("greedy", &format!("g{n}"), &format!("s{n}")));
    let queue = Queue::new(100, lanes(2, 3), loading);
    let mut busy = Vec::new();
    for _ in 0..3 {
        busy.push(pop(&queue).await);
    }
    let mut next = Box::pin(pop(&queue));
    assert!(futures_poll(&mut next).await.is_none(), "it has its share");
    queue.push(job_of("greedy", "upload", ""));
    assert_eq!(next.await.0, "upload");
    queue.push(job_of("honest", "h", "s0"));
    let (id, lane) = pop(&queue).await;
    assert_eq!(id, "h");
    drop(lane);
    drop(busy.remove(0));
    assert_eq!(pop(&queue).await.0, "g3");
}

#[tokio::test]
async fn clients_take_turns_whatever_each_has_waiting() {
    let many = (0..6).map(|n| job_of("a", &format!("a{n}"), &format!("s{}", n % 3)));
    let queue = Queue::new(100, MANY, many);
    for n in 0..2 {
        queue.push(job_of("b", &format!("b{n}"), "s0"));
    }
    let mut order = Vec::new();
    for _ in 0..8 {
        order.push(pop(&queue).await.0);
    }
    assert_eq!(order, ["a0", "b0", "a1", "b1", "a2", "a3", "a4", "a5"]);
}

#[tokio::test]
async fn many_are_removed_in_one_pass_and_the_counts_stay_exact() {
    // With one pass for each of them this would take minutes.
    let job = |n: u32| {
        job_of(
            "c",
            &n.to_string(),
            if n.is_multiple_of(2) { "s" } else { "t" },
        )
    };
    let queue = Queue::new(200_000, MANY, (0..100_000).map(job));
    let gone: Vec<_> = (0..100_000).filter(|n| n % 1000 != 0).map(job).collect();
    queue.remove(&gone);
    queue.remove(&gone);
    assert_eq!((queue.len(), queue.room()), (100, 199_900));
    for n in 0..100 {
        assert_eq!(pop(&queue).await.0, (n * 1000).to_string());
    }
    assert_eq!((queue.len(), queue.backlog().oldest), (0, Duration::ZERO));
    let state = queue.shared.state.lock();
    assert!(state.clients.is_empty() && state.turns.is_empty() && state.busy.is_empty());
}

#[tokio::test]
async fn the_oldest_is_the_oldest_of_those_that_still_wait() {
    let queue = Queue::new(9, MANY, [job("a", "s"), job("b", "t")]);
    let waiting = |queue: &Queue<String>| queue.shared.state.lock().waiting.first().copied();
    let a = waiting(&queue).expect("two wait");
    queue.remove(&[job("a", "s")]);
    let b = waiting(&queue).expect("one waits");
    assert!(a < b);
    drop(pop(&queue).await);
    assert_eq!(waiting(&queue), None);
}

/// Polls once.
async fn futures_poll<T>(future: &mut (impl Future<Output = T> + Unpin)) -> Option<T> {
    tokio::select! {
        biased;
        value = future => Some(value),
        () = std::future::ready(()) => None,
    }
}
