/* Enumerates sessions, isolates changes in transactions, and restricts access. */
#include "fill.h"

static void enumerate_sessions(HANDLE engine)
{
    FWPM_SESSION0 session, **sessions;
    HANDLE named, handle;
    UINT32 returned;
    WCHAR name[] = {'n', 'a', 'm', 0xE9, 0}, description[] = {0xD83D, 0xDD11, 0};

    memset(&session, 0, sizeof(session));
    session.displayData.name = name;
    session.displayData.description = description;
    session.sessionKey.Data3 = 77;
    session.txnWaitTimeoutInMSec = 1500;
    session.flags = FWPM_SESSION_FLAG_DYNAMIC;
    SUCCEEDS(FwpmEngineOpen0(NULL, RPC_C_AUTHN_DEFAULT, NULL, &session, &named));
    SUCCEEDS(FwpmSessionCreateEnumHandle0(engine, NULL, &handle));
    SUCCEEDS(FwpmSessionEnum0(engine, handle, 10, &sessions, &returned));
    CHECK(returned == 2);
    CHECK(sessions[0]->displayData.name[0] == 0 && sessions[0]->txnWaitTimeoutInMSec == 15000);
    CHECK(memcmp(sessions[1]->displayData.name, name, sizeof(name)) == 0);
    CHECK(memcmp(sessions[1]->displayData.description, description, sizeof(description)) == 0);
    CHECK(sessions[1]->sessionKey.Data3 == 77 && sessions[1]->txnWaitTimeoutInMSec == 1500);
    CHECK(sessions[1]->flags == FWPM_SESSION_FLAG_DYNAMIC && sessions[0]->flags == 0);
    CHECK(sessions[1]->processId != 0 && sessions[1]->processId == sessions[0]->processId);
    /* S-1-22-1-uid */
    CHECK(sessions[1]->sid->Revision == 1 && sessions[1]->sid->SubAuthorityCount == 2);
    CHECK(sessions[1]->sid->IdentifierAuthority.Value[5] == 22 && sessions[1]->sid->SubAuthority[0] == 1);
    CHECK(sessions[1]->username != NULL);
#ifdef KERNEL
    CHECK(sessions[0]->kernelMode);
#else
    CHECK(!sessions[0]->kernelMode);
#endif
    free_memory(&sessions);
    SUCCEEDS(FwpmSessionDestroyEnumHandle0(engine, handle));
    SUCCEEDS(FwpmEngineClose0(named));
}

static void transactions(HANDLE engine)
{
    HANDLE other = open_engine();
    UINT64 id = establish(engine, 1);
    IPSEC_SA_CONTEXT1 *context;

    SUCCEEDS(FwpmTransactionBegin0(engine, 0));
    SUCCEEDS(IPsecSaContextExpire0(engine, id));
    SUCCEEDS(IPsecSaContextGetById1(engine, id, &context));
    CHECK(context->outboundSa == NULL);
    free_memory(&context);
    SUCCEEDS(IPsecSaContextGetById1(other, id, &context));
    CHECK(context->outboundSa != NULL);
    free_memory(&context);
    SUCCEEDS(FwpmTransactionAbort0(engine));
    SUCCEEDS(IPsecSaContextGetById1(engine, id, &context));
    CHECK(context->outboundSa != NULL);
    free_memory(&context);
    SUCCEEDS(FwpmTransactionBegin0(engine, 1));
    ANSWERS(FWP(INCOMPATIBLE_TXN), IPsecSaContextExpire0(engine, id));
    SUCCEEDS(FwpmTransactionCommit0(engine));
    SUCCEEDS(IPsecSaContextDeleteById0(engine, id));
    SUCCEEDS(FwpmEngineClose0(other));
}

static void security(HANDLE engine)
{
    PSID owner = NULL, group = NULL;
    PACL dacl = NULL, sacl = (PACL)&owner;
    PSECURITY_DESCRIPTOR descriptor = NULL;
    struct {
        ACL acl;
        ACCESS_ALLOWED_ACE ace;
        DWORD more_of_the_sid[3];
    } list;

    SUCCEEDS(IPsecSaDbGetSecurityInfo0(engine,
        OWNER_SECURITY_INFORMATION | GROUP_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION, &owner, &group, &dacl,
        &sacl, &descriptor));
    CHECK(owner != NULL && dacl != NULL && sacl == NULL && descriptor != NULL);
    CHECK((char *)dacl > (char *)descriptor && dacl->AceCount > 0);
    /* An access list that was read can be written back. */
    SUCCEEDS(IPsecSaDbSetSecurityInfo0(engine, DACL_SECURITY_INFORMATION, NULL, NULL, dacl, NULL));
    FwpmFreeMemory0(&descriptor);
    SUCCEEDS(FwpmEngineGetSecurityInfo0(engine, DACL_SECURITY_INFORMATION, NULL, NULL, &dacl, NULL, &descriptor));
    CHECK(dacl->AceCount > 0);
    FwpmFreeMemory0(&descriptor);
    ANSWERS(FWP(NULL_POINTER), IPsecSaDbGetSecurityInfo0(engine, 4, NULL, NULL, &dacl, NULL, NULL));
    ANSWERS(FWP(NULL_POINTER), IPsecSaDbSetSecurityInfo0(engine, 1, NULL, NULL, NULL, NULL));

    {
        SID crooked;
        memset(&crooked, 0, sizeof(crooked));
        crooked.Revision = 1;
        crooked.SubAuthorityCount = 200;
        ANSWERS(FWP(INVALID_PARAMETER),
            IPsecSaDbSetSecurityInfo0(engine, OWNER_SECURITY_INFORMATION, &crooked, NULL, NULL, NULL));
    }

    /* One entry lets everyone (S-1-1-0) enumerate, read and change the list. The list is protected from inheritance. */
    memset(&list, 0, sizeof(list));
    list.acl.AclRevision = ACL_REVISION;
    list.acl.AclSize = sizeof(ACL) + sizeof(ACE_HEADER) + sizeof(ACCESS_MASK) + 12;
    list.acl.AceCount = 1;
    list.ace.Header.AceSize = sizeof(ACE_HEADER) + sizeof(ACCESS_MASK) + 12;
    list.ace.Mask = FWPM_ACTRL_ENUM | FWPM_ACTRL_READ | WRITE_DAC | READ_CONTROL;
    ((BYTE *)&list.ace.SidStart)[0] = 1;
    ((BYTE *)&list.ace.SidStart)[1] = 1;
    ((BYTE *)&list.ace.SidStart)[7] = 1;
    SUCCEEDS(IPsecSaDbSetSecurityInfo0(engine, DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION, NULL,
        NULL, &list.acl, NULL));
    SUCCEEDS(IPsecSaDbGetSecurityInfo0(engine, DACL_SECURITY_INFORMATION, NULL, NULL, &dacl, NULL, &descriptor));
    CHECK(dacl->AceCount == 1 && ((ACCESS_ALLOWED_ACE *)(dacl + 1))->Mask == list.ace.Mask);
    FwpmFreeMemory0(&descriptor);
    list.acl.AceCount = 9;
    CHECK(IPsecSaDbSetSecurityInfo0(engine, DACL_SECURITY_INFORMATION, NULL, NULL, &list.acl, NULL) != SUCCESS);
}

/* Gives both directions of a context the state of a keying module, which may hold secrets. */
static void add_state(HANDLE engine, UINT64 id)
{
    static UINT8 secret[] = {5, 6, 7, 8};
    IPSEC_KEYMODULE_STATE0 state;
    IPSEC_SA_CONTEXT1 *context;

    memset(&state, 0, sizeof(state));
    state.keyModuleKey.Data1 = 42;
    state.stateBlob.size = sizeof(secret);
    state.stateBlob.data = secret;
    SUCCEEDS(IPsecSaContextGetById1(engine, id, &context));
    context->inboundSa->saBundle.keyModuleState = &state;
    context->outboundSa->saBundle.keyModuleState = &state;
    SUCCEEDS(IPsecSaContextUpdate0(engine, IPSEC_SA_BUNDLE_UPDATE_KEY_MODULE_STATE, context));
    free_memory(&context);
    SUCCEEDS(IPsecSaContextGetById1(engine, id, &context));
    CHECK(memcmp(context->inboundSa->saBundle.keyModuleState->stateBlob.data, secret, sizeof(secret)) == 0);
    free_memory(&context);
}

/* After security(), user-mode callers get no keys and may change nothing. Kernel-mode callers are not checked. */
static void without_rights(HANDLE engine, UINT64 id)
{
    IPSEC_SA_CONTEXT1 *context;
    SUCCEEDS(IPsecSaContextGetById1(engine, id, &context));
#ifdef KERNEL
    CHECK(context->inboundSa->saBundle.saList->espAuthAndCipherInformation->saAuthInformation.authKey.size == KEY_LEN);
    CHECK(context->inboundSa->saBundle.keyModuleState->stateBlob.size == 4);
    SUCCEEDS(IPsecSaContextDeleteById0(engine, id));
#else
    CHECK(context->inboundSa->saBundle.saList->espAuthAndCipherInformation->saAuthInformation.authKey.size == 0);
    CHECK(context->inboundSa->saBundle.keyModuleState == NULL && context->outboundSa->saBundle.keyModuleState == NULL);
    CHECK(context->inboundSa->saBundle.saList->espAuthAndCipherInformation->saCipherInformation.cipherKey.data == NULL);
    ANSWERS(ERROR_ACCESS_DENIED, IPsecSaContextDeleteById0(engine, id));
    ANSWERS(ERROR_ACCESS_DENIED, IPsecSaContextUpdate0(engine, 4, context));
#endif
    free_memory(&context);
}

int main(void)
{
    HANDLE engine = open_engine();
    UINT64 id;
    enumerate_sessions(engine);
    transactions(engine);
    id = establish(engine, 2);
    add_state(engine, id);
    security(engine);
    without_rights(engine, id);
    SUCCEEDS(FwpmEngineClose0(engine));
    printf("ok\n");
    return 0;
}
