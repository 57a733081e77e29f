/* Forks with open sessions, while another thread opens and closes sessions. The child cannot use its parent's handles, opens
 * sessions of its own, and frees what the parent's calls returned. Nothing hangs. */
#include "fill.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile int done;

static void *others(void *unused)
{
    while (!done) {
        FWPM_SESSION0 **sessions;
        HANDLE engine = open_engine(), handle;
        UINT32 returned;
        SUCCEEDS(FwpmSessionCreateEnumHandle0(engine, NULL, &handle));
        SUCCEEDS(FwpmSessionEnum0(engine, handle, 10, &sessions, &returned));
        free_memory(&sessions);
        SUCCEEDS(FwpmEngineClose0(engine));
    }
    return unused;
}

static void in_child(HANDLE parent, FWPM_SESSION0 ***of_parent)
{
    FWPM_SESSION0 **sessions;
    HANDLE engine, handle;
    UINT32 returned;

    alarm(60);
    ANSWERS(INVALID_HANDLE, FwpmSessionCreateEnumHandle0(parent, NULL, &handle));
    ANSWERS(INVALID_HANDLE, FwpmEngineClose0(parent));
    free_memory(of_parent);
    engine = open_engine();
    SUCCEEDS(FwpmSessionCreateEnumHandle0(engine, NULL, &handle));
    SUCCEEDS(FwpmSessionEnum0(engine, handle, 1000, &sessions, &returned));
    CHECK(returned >= 1);
    free_memory(&sessions);
    SUCCEEDS(FwpmEngineClose0(engine));
}

int main(void)
{
    FWPM_SESSION0 **sessions;
    HANDLE engine = open_engine(), handle;
    UINT32 returned;
    pthread_t thread;
    int round;

    SUCCEEDS(FwpmSessionCreateEnumHandle0(engine, NULL, &handle));
    SUCCEEDS(FwpmSessionEnum0(engine, handle, 1, &sessions, &returned));
    CHECK(pthread_create(&thread, NULL, others, NULL) == 0);
    for (round = 0; round < FORK_ROUNDS; round++) {
        int status;
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            pid_t grandchild;
            in_child(engine, &sessions);
            /* A child of the child is a process of its own again. */
            grandchild = fork();
            if (grandchild == 0) {
                HANDLE own;
                alarm(60);
                own = open_engine();
                SUCCEEDS(FwpmEngineClose0(own));
                _exit(0);
            }
            CHECK(waitpid(grandchild, &status, 0) == grandchild && status == 0);
            _exit(0);
        }
        CHECK(waitpid(child, &status, 0) == child);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    done = 1;
    CHECK(pthread_join(thread, NULL) == 0);
    free_memory(&sessions);
    SUCCEEDS(FwpmSessionDestroyEnumHandle0(engine, handle));
    SUCCEEDS(FwpmEngineClose0(engine));
    puts("ok");
    return 0;
}
