/* The filter engine's API in user-mode form. Calls return 0, an FWP_E_*, an ERROR_* or an RPC_E_* code. Link with
 * fwpuclnt. */
#ifndef OPENWFP_FWPMU_H
#define OPENWFP_FWPMU_H

#ifdef OPENWFP_FWPMK_H
#error "<fwpmu.h> and <fwpmk.h> declare the same calls with other results; include one of them"
#endif

#include "rpc.h"

#define OPENWFP_RESULT DWORD
#include "openwfp_functions.h"

#include "fwpvi.h"

#endif
