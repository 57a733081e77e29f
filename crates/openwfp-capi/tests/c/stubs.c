/* Makes unimplemented calls, which the arguments name. The first argument is what the calls check: `handle`, `none`,
 * or `socket` for socket calls, which return SOCKET_ERROR. */
#define _GNU_SOURCE
#include "check.h"

#include <dlfcn.h>

#ifdef KERNEL
#define NOT_IMPLEMENTED STATUS_NOT_IMPLEMENTED
#else
#define NOT_IMPLEMENTED ERROR_CALL_NOT_IMPLEMENTED
#endif

int main(int argc, char **argv)
{
    HANDLE engine = open_engine();
    int i;
    CHECK(argc > 2);
    for (i = 2; i < argc; i++) {
        RESULT (*call)(HANDLE);
        *(void **)&call = dlsym(RTLD_DEFAULT, argv[i]);
        if (!call)
            fail(__FILE__, __LINE__, argv[i], 0);
        if (strcmp(argv[1], "socket") == 0) {
            CHECK((int)call(engine) == -1);
            continue;
        }
        ANSWERS(NOT_IMPLEMENTED, call(engine));
        if (strcmp(argv[1], "handle") == 0)
            ANSWERS(INVALID_HANDLE, call(NULL));
        else
            ANSWERS(NOT_IMPLEMENTED, call(NULL));
    }
    SUCCEEDS(FwpmEngineClose0(engine));
    printf("ok\n");
    return 0;
}
