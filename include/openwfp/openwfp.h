/* OpenWFP's extensions to the API. Include this after <fwpmu.h> or <fwpmk.h>. */
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
    UINT64 lastUsed; /* in seconds since 1970; 0 if never or unknown */
    UINT32 replayWindowDrops;
    UINT32 replayDrops;
    UINT32 integrityFailures;
} OPENWFP_SA_COUNTERS0;

/* Gets the current counters of an SA context, which Windows does not offer. Requires the right READ. */
OPENWFP_RESULT WINAPI OpenwfpSaContextGetCounters0(HANDLE engineHandle, UINT64 id, OPENWFP_SA_COUNTERS0 *inbound,
    OPENWFP_SA_COUNTERS0 *outbound);

/* Returns why the calling thread's last failed call failed, in UTF-8: the argument or rule that was violated, what to
 * do, and the code's name and number. Never null. Valid until the thread's next call that fails. */
const char *WINAPI OpenwfpLastErrorText(void);

/* Returns the library's version, such as "0.1.0". */
const char *WINAPI OpenwfpVersion(void);

#ifdef __cplusplus
}
#endif

#endif
