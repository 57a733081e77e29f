"""A client of the daemon that knows nothing but its .proto files: client.py PROTO_DIR STUB_DIR TARGET COMMAND

TARGET is gRPC's, such as unix:/run/openwfp/engine.sock or 127.0.0.1:8321. Commands:
  list   prints the SA contexts, a line of JSON each
  hold   opens a dynamic session, begins a transaction that writes, says so, and waits for ever
  watch  says that it watches, and prints the kind and id of the first event
  filter adds a filter and asks which one a packet meets
  error  asks for a context that is not there and prints WFP's code
"""

import json
import subprocess
import sys
import time

import grpc
from google.protobuf.message_factory import MessageFactory


def messages(proto, out):
    """Compiles the .proto files and loads them."""
    files = ["openwfp/v1/object.proto", "openwfp/v1/sa.proto", "openwfp/v1/engine.proto"]
    subprocess.run(["protoc", f"-I{proto}", f"--python_out={out}", *files], check=True)
    sys.path.insert(0, out)
    from openwfp.v1 import engine_pb2

    return engine_pb2


class Engine:
    """The service's calls by their names, made from its description."""

    def __init__(self, pb, channel):
        factory = MessageFactory()
        service = pb.DESCRIPTOR.services_by_name["FilterEngine"]
        for method in service.methods:
            path = f"/{service.full_name}/{method.name}"
            request, reply = factory.GetPrototype(method.input_type), factory.GetPrototype(method.output_type)
            streams = method.name in ("EngineOpen", "SaContextList", "SaContextWatch")
            make = channel.unary_stream if streams else channel.unary_unary
            setattr(self, method.name, make(path, request.SerializeToString, reply.FromString))


def main():
    proto, out, target, command = sys.argv[1:]
    pb = messages(proto, out)
    engine = Engine(pb, grpc.insecure_channel(target))
    stream = engine.EngineOpen(pb.EngineOpenRequest(name="python", dynamic=command == "hold"))
    session = next(stream).opened.session

    if command == "list":
        handle = engine.SaContextCreateEnum(pb.SaContextCreateEnumRequest(session=session)).handle
        count = 0
        for page in engine.SaContextList(pb.EnumRequest(session=session, handle=handle)):
            for context in page.contexts:
                count += 1
                inbound, outbound = context.inbound.bundle.sas[0], context.outbound.bundle.sas[0]
                assert inbound.esp_aead.key.value == b"", "keys come without being asked for"
                print(json.dumps({
                    "id": context.id,
                    "remote": ".".join(map(str, context.traffic.remote)),
                    "spi_in": f"0x{inbound.spi:08x}",
                    "spi_out": f"0x{outbound.spi:08x}",
                }))
        engine.EngineClose(pb.SessionRequest(session=session))
    elif command == "hold":
        engine.TransactionBegin(pb.TransactionBeginRequest(session=session))
        print("holding", flush=True)
        time.sleep(3600)
    elif command == "watch":
        from openwfp.v1 import sa_pb2

        events = engine.SaContextWatch(pb.SubscribeRequest(session=session, kinds=[pb.EVENT_KIND_DELETE]))
        while not engine.SaContextSubscriptionsGet(pb.SessionRequest(session=session)).subscriptions:
            time.sleep(0.01)
        print("watching", flush=True)
        event = next(events).notifications[0].event
        print(pb.EventKind.Name(event.kind), event.id, event.context.state == sa_pb2.SA_STATE_COMPLETE)
    elif command == "filter":
        from openwfp.v1 import object_pb2 as objects

        condition = objects.FilterCondition(
            field=bytes.fromhex("b235ae9a1d6449b8a44c5ff3d9095045"),  # FWPM_CONDITION_IP_REMOTE_ADDRESS
            value=objects.Value(network=bytes([10, 2, 0, 0, 16])),
        )
        block = objects.Filter(
            name="from python",
            layer=bytes.fromhex("09e61aead21446e29b21b26b0b2f28c8"),  # FWPM_LAYER_OUTBOUND_TRANSPORT_V4
            action=objects.Action(kind=0x1001),
            conditions=[condition],
        )
        add = objects.ObjectStep(add=objects.ObjectAdd(object=objects.Object(filter=block)))
        id = engine.ObjectStep(objects.ObjectStepRequest(session=session, step=add)).id
        page = engine.ObjectGet(objects.ObjectGetRequest(session=session, kind=6, id=id))
        assert page.objects[0].filter.conditions == block.conditions, page
        packet = objects.Packet(source=bytes([10, 1, 0, 1]), destination=bytes([10, 2, 0, 1]))
        verdict = engine.Classify(objects.ClassifyRequest(session=session, packet=packet))
        print(page.objects[0].filter.name, verdict.action == 0x1001, verdict.filter_id == id)
    elif command == "error":
        try:
            engine.SaContextGetById(pb.SaContextGetByIdRequest(session=session, id=999))
        except grpc.RpcError as error:
            details = dict(error.trailing_metadata())["grpc-status-details-bin"]
            # google.rpc.Status: its third field is an Any, whose second is the ErrorDetail.
            at = details.index(b"openwfp.v1.ErrorDetail") + len(b"openwfp.v1.ErrorDetail")
            assert details[at] == 0x12
            detail = pb.ErrorDetail.FromString(details[at + 2:])
            print(error.code().name, detail.name, hex(detail.code))


main()
