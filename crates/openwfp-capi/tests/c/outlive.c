/* A program that outlives its daemon: it reports that it has a session, and makes calls until the session has ended. */
#include "check.h"

/* The daemon may exit between two calls. */
#define SUCCEEDS_OR_ENDS(call)                                                                                         \
    do {                                                                                                               \
        RESULT answer = (call);                                                                                        \
        CHECK(answer == SUCCESS || answer == RPC_E_DISCONNECTED || answer == FWP(SESSION_ABORTED));                    \
    } while (0)

int main(void)
{
    HANDLE engine = open_engine(), handle = NULL;
    RESULT first;
    int i;

    printf("open\n");
    fflush(stdout);
    while ((first = IPsecSaContextCreateEnumHandle0(engine, NULL, &handle)) == SUCCESS)
        SUCCEEDS_OR_ENDS(IPsecSaContextDestroyEnumHandle0(engine, handle));
    CHECK(first == RPC_E_DISCONNECTED || first == FWP(SESSION_ABORTED));
    for (i = 0; i < 3; i++)
        ANSWERS(FWP(SESSION_ABORTED), IPsecSaContextCreateEnumHandle0(engine, NULL, &handle));
    SUCCEEDS(FwpmEngineClose0(engine));
    printf("ok\n");
    return 0;
}
