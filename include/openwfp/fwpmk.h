/* The filter engine's API in kernel-mode form. Calls return STATUS_SUCCESS, a STATUS_FWP_* or another NTSTATUS. It runs
 * in user mode here, with the rules for kernel-mode callers. Link with fwpkclnt. */
#ifndef OPENWFP_FWPMK_H
#define OPENWFP_FWPMK_H

#ifdef OPENWFP_FWPMU_H
#error "<fwpmu.h> and <fwpmk.h> declare the same calls with other results; include one of them"
#endif

#include "ntddk.h"

#include "rpc.h"

#define OPENWFP_RESULT NTSTATUS
#include "openwfp_functions.h"

#include "fwpvi.h"

#endif
