/* What OpenWFP adds to the API. Include it after <fwpmu.h> or <fwpmk.h>. */
#ifndef OPENWFP_OPENWFP_H
#define OPENWFP_OPENWFP_H

#ifndef OPENWFP_RESULT
#error "include <fwpmu.h> or <fwpmk.h> before <openwfp.h>"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Counters of one direction of an SA context. */
typedef struct OPENWFP_SA_COUNTERS0_ {
    UINT64 bytes;
    UINT64 packets;
    UINT64 lastUsed; /* seconds since 1970; 0: never, or not known */
    UINT32 replayWindowDrops;
    UINT32 replayDrops;
    UINT32 integrityFailures;
} OPENWFP_SA_COUNTERS0;

/* The counters of an SA context as they are now, which Windows does not give. Needs the right READ. */
OPENWFP_RESULT WINAPI OpenwfpSaContextGetCounters0(HANDLE engineHandle, UINT64 id, OPENWFP_SA_COUNTERS0 *inbound,
    OPENWFP_SA_COUNTERS0 *outbound);

/* Why the calling thread's last call that failed did: its code's name, which argument or rule was broken, and what to
 * do, in UTF-8. Never null; valid until the thread's next call that fails. */
const char *WINAPI OpenwfpLastErrorText(void);

/* The library's version, such as "0.1.0". */
const char *WINAPI OpenwfpVersion(void);

#ifdef __cplusplus
}
#endif

#endif
