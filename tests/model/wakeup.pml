/* How a post reaches a loop that goes to sleep: inbox::push and loop_core::post on one side, loop_core::turn, sleep and
 * poll on the other. Spin visits every interleaving. It reports an invalid end state where the loop sleeps for ever with a
 * message in its inbox, and a violated assertion where a message runs before its contents are visible, twice, or not at
 * all.
 *
 * Spin's memory is sequentially consistent, so the weaker orders of C++ are written down: a step waits only for those
 * earlier steps of its thread that the memory orders put before it, and a value that nothing orders may be read stale.
 * Each order is a macro (bits: 1 acquire, 2 release, 4 sequentially consistent); check.py reads them out of the sources.
 */

#define ACQUIRE(order) ((order) & 1)
#define RELEASE(order) ((order) & 2)
#define SC(order) ((order) & 4)

#ifndef POSTERS
#define POSTERS 3
#endif
#define ALL ((1 << POSTERS) - 1)
#define CLOSED 128

/* The two steps that are swapped, for the negative controls. */
#ifndef SWAP_LOOK_AND_DECLARE
#define SWAP_LOOK_AND_DECLARE 0
#endif
#ifndef SWAP_WAKE_AND_PUSH
#define SWAP_WAKE_AND_PUSH 0
#endif
#ifndef SWAP_DRAIN_AND_LOOK
#define SWAP_DRAIN_AND_LOOK 0
#endif
#ifndef SWAP_DRAIN_AND_DECLARE
#define SWAP_DRAIN_AND_DECLARE 0
#endif
#define ORDERED_WITH_LOOK (SC(DECLARE) && SC(LOOK) && SC(WAKE) && !SWAP_LOOK_AND_DECLARE)

/* asleep_ */
#define NO 0
#define IN_RING 1
#define IN_HOST 2

byte head = 0;       /* inbox::head_: a bit for each message in the stack, or CLOSED */
byte asleep = NO;    /* loop_core::asleep_ */
bool event = false;  /* a completion of the eventfd's read (in the ring), or the host's descriptor is readable */
byte visible = 0;    /* messages whose contents have been written */
byte handled = 0;    /* messages that ran, or were destroyed unrun */

inline handle(which) {
  assert((handled & (which)) == 0);
  handled = handled | (which)
}

proctype poster(byte message) {
  bool written = false;
  bool pushed = false;
  bool exchanged = false;
  bool refused = false;
  byte before = NO;
  do
    /* The message's contents and its `next`, plain stores. */
  :: atomic { !written -> visible = visible | message; written = true }

    /* head_.compare_exchange_weak: after the contents if it releases. */
  :: atomic {
      !pushed && (written || !RELEASE(PUSH)) && (exchanged || !SWAP_WAKE_AND_PUSH) ->
      pushed = true;
      if
      :: head & CLOSED -> refused = true; handle(message)
      :: else -> head = head | message
      fi
    }

    /* asleep_.exchange, unless the inbox is closed: after the push if that acquires or this releases. */
  :: atomic {
      !exchanged && !refused && (pushed || !(ACQUIRE(PUSH) || RELEASE(WAKE)) || SWAP_WAKE_AND_PUSH) ->
      before = asleep; asleep = NO; exchanged = true
    }

  :: written && pushed && (exchanged || refused) -> break
  od;
  /* A system call: end_sleep() or ring::signal_descriptor(). */
  if
  :: exchanged && before != NO -> event = true
  :: else
  fi
}

/* inbox::run: takes all, in one exchange. */
inline take() {
  atomic {
    taken = head; head = 0;
    /* Without acquire nothing makes the contents visible along with the pointer. */
    assert((taken & visible) == taken);
    assert(taken == 0 || ACQUIRE(TAKE));
    handle(taken)
  }
}

proctype loop() {
  byte taken;
  byte seen;
  bool declared;
  bool looked;
  bool drained;
  do
  :: take();
     if
     :: handled == ALL -> break
#ifdef CLOSING
     :: true -> break /* the loop ends now */
#endif
     :: else
     fi;

     declared = false; looked = false; drained = false; seen = 0;
     do
       /* asleep_.store */
     :: atomic {
         !declared && (looked || !SWAP_LOOK_AND_DECLARE) &&
             (drained || !HOST || SWAP_DRAIN_AND_DECLARE || SWAP_DRAIN_AND_LOOK) ->
         asleep = (HOST -> IN_HOST : IN_RING); declared = true
       }

       /* ring::heard, in the host's loop only: resets the descriptor's readiness. A system call. */
     :: atomic {
         HOST && !drained && (looked || !SWAP_DRAIN_AND_LOOK) && (declared || !SWAP_DRAIN_AND_DECLARE) ->
         event = false; drained = true
       }

       /* inbox_.empty(): after the store, for all threads, only if both and the poster's operations are in one order. */
     :: atomic {
         !looked && (declared || !ORDERED_WITH_LOOK) && (drained || !HOST || SWAP_DRAIN_AND_LOOK) ->
         looked = true;
         if
         :: seen = head
         :: !(SC(PUSH) && SC(LOOK)) -> seen = 0 /* the value that the loop itself left there */
         fi
       }

       /* No sleep: the inbox has a message. */
     :: looked && seen != 0 && (drained || !HOST) -> break

       /* The sleep, and its end. */
     :: atomic { looked && seen == 0 && (drained || !HOST) && event -> event = HOST; break }
     od;
     /* Stores to one place stay in their order: the declaration, then asleep_.store(no, relaxed). */
     if
     :: !declared -> asleep = (HOST -> IN_HOST : IN_RING)
     :: else
     fi;
     asleep = NO
  od;

#ifdef CLOSING
  /* inbox::close: what is there is destroyed, what comes is refused. */
  atomic { taken = head; head = CLOSED; handle(taken) }
#endif
}

init {
  byte each;
  atomic {
    run loop();
    for (each : 0 .. POSTERS - 1) { run poster(1 << each) }
  }
  /* Every process ends: Spin reports it otherwise. */
  _nr_pr == 1 -> assert(handled == ALL)
}
