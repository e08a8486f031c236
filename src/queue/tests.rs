use std::sync::Arc;

use tokio::time::timeout;

use super::*;

const SOON: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn what_is_pushed_twice_comes_once() {
    let queue = Queue::default();
    queue.push("a");
    queue.push("a");
    assert_eq!(queue.pop().await, "a");
    queue.done(&"a");
    assert!(timeout(SOON, queue.pop()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn of_two_times_the_earlier_one_holds() {
    let queue = Queue::default();
    let start = Instant::now();
    queue.push_after("a", Duration::from_secs(10));
    queue.push_after("a", Duration::from_secs(3));
    queue.push_after("a", Duration::from_secs(20));
    assert_eq!(queue.pop().await, "a");
    assert_eq!(start.elapsed().as_secs(), 3);
    queue.done(&"a");
    assert!(timeout(Duration::from_mins(1), queue.pop()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn what_is_handled_is_not_handed_out_again_until_it_is_done() {
    let queue = Arc::new(Queue::default());
    queue.push("a");
    assert_eq!(queue.pop().await, "a");
    queue.push("a");
    queue.push("b");
    assert_eq!(queue.pop().await, "b");
    assert!(timeout(SOON, queue.pop()).await.is_err());
    queue.done(&"a");
    assert_eq!(timeout(SOON, queue.pop()).await, Ok("a"));
}

#[tokio::test(start_paused = true)]
async fn every_worker_that_waits_is_woken_for_a_key_of_its_own() {
    let queue: Arc<Queue<u32>> = Arc::default();
    let workers: Vec<_> = (0..8)
        .map(|_| {
            let queue = queue.clone();
            tokio::spawn(async move { queue.pop().await })
        })
        .collect();
    tokio::task::yield_now().await;
    (0..8).for_each(|key| queue.push(key));
    let mut popped = Vec::new();
    for worker in workers {
        popped.push(timeout(SOON, worker).await.expect("in time").expect("no panic"));
    }
    popped.sort_unstable();
    assert_eq!(popped, (0..8).collect::<Vec<_>>());
    assert_eq!(queue.depth(), 8, "all are being handled");
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_weeks_and_is_looked_at_every_ten_minutes_takes_no_more_room_by_it() {
    let queue = Queue::default();
    let end = Instant::now() + Duration::from_hours(14 * 24);
    for turn in 0..2_000 {
        for key in 0..20 {
            queue.push(key);
        }
        for _ in 0..20 {
            let key = queue.pop().await;
            queue.push_at(key, end);
            queue.done(&key);
        }
        let entries = queue.lock().order.len();
        assert!(entries <= 2 * 20 + LEFTOVERS, "{entries} entries after {turn} turns");
        tokio::time::advance(Duration::from_mins(10)).await;
    }
    tokio::time::advance(end - Instant::now()).await;
    for _ in 0..20 {
        timeout(SOON, queue.pop()).await.expect("each is still due");
    }
    assert!(timeout(SOON, queue.pop()).await.is_err(), "and once");
}
