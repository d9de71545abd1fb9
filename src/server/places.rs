//! The places of a house: so many at all, and so many for one address. Nobody waits for one: whoever showed least, and of
//! these whoever has been there longest, makes room for a newcomer.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::sleep,
};

use crate::server::guest::{Guest, Standing};

/// All places.
pub(super) struct Places {
    most: usize,
    of_one_address: usize,
    guests: Mutex<Guests>,
    /// Connections that have not ended yet, those that were sent away too.
    there: watch::Sender<usize>,
}

#[derive(Default)]
struct Guests {
    /// By the order in which they came.
    all: BTreeMap<u64, Arc<Guest>>,
    next: u64,
}

/// A place that is taken, until it is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.guests().all.remove(&self.number);
        self.places.there.send_modify(|there| *there -= 1);
    }
}

impl Places {
    /// So many places, and so many for one address.
    pub fn new(most: usize, of_one_address: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            of_one_address,
            guests: Mutex::default(),
            there: watch::Sender::new(0),
        })
    }

    /// A place for a newcomer; `None` where only front proxies are there, who stay.
    pub fn take(self: &Arc<Self>, guest: &Arc<Guest>) -> Option<Place> {
        let mut guests = self.guests();
        let address = guest.address();
        let same = |g: &Guest| g.address() == address;
        let strangers = |g: &Guest| same(g) && g.standing() < Standing::FrontProxy;
        if guests.all.values().filter(|g| strangers(g)).count() >= self.of_one_address {
            guests.make_room(same);
        }
        if guests.all.len() >= self.most && !guests.make_room(|_| true) {
            return None;
        }
        let number = guests.next;
        guests.next += 1;
        guests.all.insert(number, guest.clone());
        drop(guests);
        self.there.send_modify(|there| *there += 1);
        Some(Place {
            places: self.clone(),
            number,
        })
    }

    /// Accepts newcomers until serving ends: each that gets a place is served while it has it. What can't be accepted is told `unaccepted`.
    pub async fn welcome<F>(
        self: &Arc<Self>,
        listener: &TcpListener,
        mut ending: watch::Receiver<bool>,
        unaccepted: impl Fn(&io::Error),
        serve: impl Fn(TcpStream, Arc<Guest>) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = ending.wait_for(|ending| *ending) => return,
            };
            let (stream, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, most likely: others have to end first.
                    unaccepted(&error);
                    sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let guest = Arc::new(Guest::new(address.ip()));
            let Some(place) = self.take(&guest) else {
                continue;
            };
            let served = serve(stream, guest.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = served => {}
                    () = guest.sent_away() => {}
                }
                drop(place);
            });
        }
    }

    /// Returns once everybody has gone.
    pub async fn empty(&self) {
        let _ = self.there.subscribe().wait_for(|there| *there == 0).await;
    }

    fn guests(&self) -> MutexGuard<'_, Guests> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guests {
    /// Sends one of those that `may_go` away; whether there was one.
    fn make_room(&mut self, may_go: impl Fn(&Guest) -> bool) -> bool {
        let leaving = self.all.iter().filter(|(_, guest)| may_go(guest));
        let leaving = leaving.map(|(number, guest)| (guest.standing(), *number));
        let leaving = leaving.filter(|(standing, _)| *standing < Standing::FrontProxy);
        let Some((_, number)) = leaving.min() else {
            return false;
        };
        if let Some(guest) = self.all.remove(&number) {
            guest.send_away();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn guest(last: u8, standing: Standing) -> Arc<Guest> {
        let guest = Guest::new(IpAddr::from([10, 0, 0, last]));
        guest.showed(standing);
        Arc::new(guest)
    }

    fn is_there(places: &Places, guest: &Arc<Guest>) -> bool {
        let guests = places.guests();
        guests.all.values().any(|g| Arc::ptr_eq(g, guest))
    }

    #[test]
    fn who_showed_least_and_came_first_makes_room_and_a_front_proxy_never() {
        use Standing::{Certificate, FrontProxy, Stranger, Token};
        let places = Places::new(5, 9);
        let standings = [FrontProxy, Token, Stranger, Certificate, Stranger];
        let guests = standings.map(|standing| guest(1, standing));
        let mut held: Vec<_> = guests.iter().map(|g| places.take(g)).collect();
        for gone in [2, 4, 1, 3] {
            assert!(is_there(&places, &guests[gone]));
            let proxy = guest(2, FrontProxy);
            held.push(places.take(&proxy));
            assert!(!is_there(&places, &guests[gone]), "{gone}");
        }
        assert!(is_there(&places, &guests[0]));
        assert!(
            places.take(&guest(3, Stranger)).is_none(),
            "all are front proxies"
        );
        assert!(held.iter().all(Option::is_some));
        drop(held);
        assert_eq!(*places.there.borrow(), 0);
        assert!(places.take(&guest(3, Stranger)).is_some());
    }

    #[test]
    fn one_address_sends_its_own_away() {
        let places = Places::new(100, 3);
        let other = guest(9, Standing::Stranger);
        let _kept = places.take(&other);
        let proxy = guest(1, Standing::FrontProxy);
        let _proxy = places.take(&proxy);
        let guests: Vec<_> = (0..5).map(|_| guest(1, Standing::Stranger)).collect();
        let _held: Vec<_> = guests.iter().map(|g| places.take(g)).collect();
        let there: Vec<_> = guests.iter().map(|g| is_there(&places, g)).collect();
        assert_eq!(there, [false, false, true, true, true]);
        assert!(is_there(&places, &other) && is_there(&places, &proxy));
    }
}
