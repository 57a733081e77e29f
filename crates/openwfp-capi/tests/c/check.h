/* Code that the programs here share. They are WFP code for both forms of the API; -DKERNEL selects kernel mode. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef KERNEL
#include <ntddk.h>

#include <fwpmk.h>
typedef NTSTATUS RESULT;
#define SUCCESS STATUS_SUCCESS
#define FWP(name) STATUS_FWP_##name
#define INVALID_HANDLE STATUS_INVALID_HANDLE
#else
#include <winsock2.h>
#include <windows.h>

#include <fwpmu.h>
typedef DWORD RESULT;
#define SUCCESS ERROR_SUCCESS
#define FWP(name) ((DWORD)FWP_E_##name)
#define INVALID_HANDLE ERROR_INVALID_HANDLE
#endif

/* mingw-w64's headers that are included here do not define these constants. */
#ifndef RPC_C_AUTHN_DEFAULT
#define RPC_C_AUTHN_DEFAULT 0xFFFFFFFF
#endif
#ifndef RPC_C_AUTHN_WINNT
#define RPC_C_AUTHN_WINNT 10
#endif

static inline void fail(const char *file, int line, const char *what, unsigned long found)
{
    fprintf(stderr, "%s:%d: %s: 0x%lX\n", file, line, what, found);
#ifdef OPENWFP_OPENWFP_H
    fprintf(stderr, "  %s\n", OpenwfpLastErrorText());
#endif
    exit(1);
}

/* Exits with an error unless the condition holds. */
#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            fail(__FILE__, __LINE__, #condition, 0);                                                                   \
    } while (0)

/* Exits with an error unless the call returns this code. */
#define ANSWERS(code, call)                                                                                            \
    do {                                                                                                               \
        RESULT answer = (call);                                                                                        \
        if (answer != (RESULT)(code))                                                                                  \
            fail(__FILE__, __LINE__, #call " answers, and not " #code, (unsigned long)(UINT32)answer);                 \
    } while (0)

#define SUCCEEDS(call) ANSWERS(SUCCESS, call)

/* Opens a session with the engine that TEST_SERVER names, else with the local one. */
static inline HANDLE open_engine(void)
{
    HANDLE engine = NULL;
    const char *name = getenv("TEST_SERVER");
    WCHAR server[256];
    size_t i = 0;

    for (; name != NULL && name[i] != 0 && i < 255; i++)
        server[i] = (WCHAR)(unsigned char)name[i];
    server[i] = 0;
    SUCCEEDS(FwpmEngineOpen0(name != NULL ? server : NULL, RPC_C_AUTHN_DEFAULT, NULL, NULL, &engine));
    CHECK(engine != NULL);
    return engine;
}

static inline void free_memory(void *pointer_to_pointer)
{
    FwpmFreeMemory0((void **)pointer_to_pointer);
}

#endif
