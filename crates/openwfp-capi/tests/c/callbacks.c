/* Tests subscriptions with C callbacks. Callbacks run in order, only for what the template selects, and never after
 * the subscription has ended. They may end their own subscription or session, and they learn of dropped events. */
#include "fill.h"

#include <pthread.h>

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    HANDLE engine, handle;
    int end_at_first, ended, blocked;
    UINT32 adds, deletes, calls;
    UINT64 last_id, dropped;
} SUBSCRIBER;

static void CALLBACK told(void *context, const IPSEC_SA_CONTEXT_CHANGE0 *change)
{
    SUBSCRIBER *s = (SUBSCRIBER *)context;
    pthread_mutex_lock(&s->lock);
    while (s->blocked)
        pthread_cond_wait(&s->changed, &s->lock);
    CHECK(!s->ended);
    s->calls++;
    if (change->changeType == IPSEC_SA_CONTEXT_EVENT_ADD) {
        CHECK(change->saContextId > s->last_id);
        s->last_id = change->saContextId;
        s->adds++;
    } else if (change->changeType == IPSEC_SA_CONTEXT_EVENT_DELETE) {
        s->deletes++;
    } else {
        CHECK((UINT32)change->changeType == FWP_E_NOTIFICATION_DROPPED);
        s->dropped += change->saContextId;
    }
    if (s->end_at_first) {
        /* subscribe() stores the handle before it releases the lock. */
        SUCCEEDS(IPsecSaContextUnsubscribe0(s->engine, s->handle));
        s->ended = 1;
    }
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static void subscribe(SUBSCRIBER *s, HANDLE engine, IPSEC_SA_CONTEXT_ENUM_TEMPLATE0 *template, UINT32 flags)
{
    IPSEC_SA_CONTEXT_SUBSCRIPTION0 subscription;
    memset(s, 0, sizeof(*s));
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    memset(&subscription, 0, sizeof(subscription));
    subscription.enumTemplate = template;
    subscription.flags = flags;
    s->engine = engine;
    pthread_mutex_lock(&s->lock);
    SUCCEEDS(IPsecSaContextSubscribe0(engine, &subscription, told, s, &s->handle));
    pthread_mutex_unlock(&s->lock);
}

static void wait_for(SUBSCRIBER *s, UINT32 calls)
{
    pthread_mutex_lock(&s->lock);
    while (s->calls < calls)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

static void in_order_and_by_template(HANDLE engine)
{
    static SUBSCRIBER all, some, adds;
    IPSEC_SA_CONTEXT_ENUM_TEMPLATE0 template;
    IPSEC_SA_CONTEXT_SUBSCRIPTION0 **subscriptions;
    UINT64 ids[20];
    UINT32 i, count;

    memset(&template, 0, sizeof(template));
    template.remoteSubNet.type = FWP_UINT32;
    template.remoteSubNet.uint32 = REMOTE_ADDRESS + 3;
    subscribe(&all, engine, NULL, 0);
    subscribe(&some, engine, &template, 0);
    subscribe(&adds, engine, NULL, 1);
    SUCCEEDS(IPsecSaContextSubscriptionsGet0(engine, &subscriptions, &count));
    CHECK(count == 3);
    CHECK(subscriptions[0]->enumTemplate->remoteSubNet.type == FWP_EMPTY && subscriptions[2]->flags == 1);
    CHECK(subscriptions[1]->enumTemplate->remoteSubNet.type == FWP_UINT32);
    CHECK(subscriptions[1]->enumTemplate->remoteSubNet.uint32 == REMOTE_ADDRESS + 3);
    free_memory(&subscriptions);
    for (i = 0; i < 20; i++)
        ids[i] = establish(engine, i);
    for (i = 0; i < 20; i++)
        SUCCEEDS(IPsecSaContextDeleteById0(engine, ids[i]));
    wait_for(&all, 40);
    wait_for(&some, 2);
    wait_for(&adds, 20);
    SUCCEEDS(IPsecSaContextUnsubscribe0(engine, all.handle));
    SUCCEEDS(IPsecSaContextUnsubscribe0(engine, some.handle));
    SUCCEEDS(IPsecSaContextUnsubscribe0(engine, adds.handle));
    ANSWERS(INVALID_HANDLE, IPsecSaContextUnsubscribe0(engine, all.handle));
    CHECK(all.adds == 20 && all.deletes == 20 && all.last_id == ids[19]);
    CHECK(some.adds == 1 && some.deletes == 1 && some.last_id == ids[3]);
    CHECK(adds.adds == 20 && adds.deletes == 0);
}

static void none_after_the_end(HANDLE engine)
{
    static SUBSCRIBER s[10];
    UINT32 i, round;
    for (round = 0; round < 10; round++) {
        UINT64 id = 0;
        subscribe(&s[round], engine, NULL, 0);
        for (i = 0; i < 30; i++) {
            if (id)
                SUCCEEDS(IPsecSaContextDeleteById0(engine, id));
            id = establish(engine, i);
        }
        SUCCEEDS(IPsecSaContextUnsubscribe0(engine, s[round].handle));
        /* A callback from now on fails the check in told(). */
        pthread_mutex_lock(&s[round].lock);
        s[round].ended = 1;
        pthread_mutex_unlock(&s[round].lock);
        SUCCEEDS(IPsecSaContextDeleteById0(engine, id));
    }
}

static void ended_from_inside(HANDLE engine)
{
    static SUBSCRIBER s;
    UINT64 id;
    subscribe(&s, engine, NULL, 0);
    s.end_at_first = 1;
    id = establish(engine, 1);
    wait_for(&s, 1);
    SUCCEEDS(IPsecSaContextDeleteById0(engine, id));
    ANSWERS(INVALID_HANDLE, IPsecSaContextUnsubscribe0(engine, s.handle));
    CHECK(s.calls == 1);
}

static void CALLBACK closes(void *context, const IPSEC_SA_CONTEXT_CHANGE0 *change)
{
    SUBSCRIBER *s = (SUBSCRIBER *)context;
    CHECK(change->changeType == IPSEC_SA_CONTEXT_EVENT_ADD);
    pthread_mutex_lock(&s->lock);
    SUCCEEDS(FwpmEngineClose0(s->engine));
    s->calls++;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

/* Closes the whole session from inside its callback. */
static void closed_from_inside(HANDLE engine)
{
    static SUBSCRIBER s;
    IPSEC_SA_CONTEXT_SUBSCRIPTION0 subscription;
    UINT64 id;
    memset(&subscription, 0, sizeof(subscription));
    pthread_mutex_init(&s.lock, NULL);
    pthread_cond_init(&s.changed, NULL);
    s.engine = open_engine();
    SUCCEEDS(IPsecSaContextSubscribe0(s.engine, &subscription, closes, &s, &s.handle));
    id = establish(engine, 1);
    wait_for(&s, 1);
    SUCCEEDS(IPsecSaContextDeleteById0(engine, id));
    ANSWERS(INVALID_HANDLE, FwpmEngineClose0(s.engine));
    CHECK(s.calls == 1);
}

/* Blocks in a callback while events arrive: more than its queue holds, unless DROP_ROUNDS is small. */
static void told_of_drops(HANDLE engine)
{
    static SUBSCRIBER s;
    UINT32 i;
    subscribe(&s, engine, NULL, 0);
    pthread_mutex_lock(&s.lock);
    s.blocked = 1;
    pthread_mutex_unlock(&s.lock);
    for (i = 0; i < DROP_ROUNDS; i++)
        SUCCEEDS(IPsecSaContextDeleteById0(engine, establish(engine, i)));
    pthread_mutex_lock(&s.lock);
    s.blocked = 0;
    pthread_cond_broadcast(&s.changed);
    while (s.adds + s.deletes + s.dropped < 2 * DROP_ROUNDS)
        pthread_cond_wait(&s.changed, &s.lock);
    CHECK(s.adds + s.deletes + s.dropped == 2 * DROP_ROUNDS);
    CHECK((s.dropped > 0) == (DROP_ROUNDS > 40000));
    pthread_mutex_unlock(&s.lock);
    SUCCEEDS(IPsecSaContextUnsubscribe0(engine, s.handle));
}

int main(void)
{
    HANDLE engine = open_engine();
    in_order_and_by_template(engine);
    none_after_the_end(engine);
    ended_from_inside(engine);
    closed_from_inside(engine);
    told_of_drops(engine);
    SUCCEEDS(FwpmEngineClose0(engine));
    printf("ok\n");
    return 0;
}
