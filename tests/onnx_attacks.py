"""ONNX files that a stranger could send: what each does, and its bytes."""

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

OPSET = [helper.make_opsetid("", 17)]


def hostile_graphs() -> dict[str, bytes]:
    """Graphs that no model of ours is, and files that are none."""
    good = graph_of([helper.make_node("Identity", ["x"], ["y"])])
    content = good.SerializeToString()
    foreign = graph_of([helper.make_node("Gelu", ["x"], ["y"], domain="com.microsoft")])
    foreign.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    unknown = graph_of([helper.make_node("RunCommand", ["x"], ["y"], domain="stranger")])
    unknown.opset_import.append(helper.make_opsetid("stranger", 1))
    function = graph_of([helper.make_node("Identity", ["x"], ["y"])])
    function.functions.append(
        helper.make_function(
            "ai.onnx", "Mine", ["x"], ["y"], [helper.make_node("Relu", ["x"], ["y"])], OPSET
        )
    )
    twice = ModelProto.FromString(content)
    return {
        "an operator of ONNX Runtime's own": foreign.SerializeToString(),
        "an unknown operator": unknown.SerializeToString(),
        "a function": function.SerializeToString(),
        "a loop": endless_loop().SerializeToString(),
        "a branch": branch().SerializeToString(),
        "weights in /etc/passwd": elsewhere("/etc/passwd").SerializeToString(),
        "weights in the folder above": elsewhere("../features.p").SerializeToString(),
        "an attribute in another file": attribute_elsewhere().SerializeToString(),
        "two graphs": content + ModelProto(graph=twice.graph).SerializeToString(),
        "no graph": ModelProto(ir_version=8, opset_import=OPSET).SerializeToString(),
        "nothing": b"",
        "text": b"this is no graph, but a letter to whoever reads it",
        "cut off": content[: len(content) * 2 // 3],
        "a length beyond the end": content[:4] + b"\x3a\xff\xff\xff\xff\x0f" + content[4:],
        "a number without end": b"\xff" * 40,
        "a group, of an older format": b"\x0b\x0c",
    }


def graph_of(nodes: list) -> ModelProto:
    """A model of these operators, from x to y."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "g", [value("x", 1, ["photos"])], [value("y", 1, ["photos"])])
    return helper.make_model(graph, opset_imports=OPSET, ir_version=8)


def endless_loop() -> ModelProto:
    """A loop whose condition never turns false."""
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Identity", ["a"], ["b"])],
        "body",
        [value("i", 7, []), value("go", 9, []), value("a", 1, None)],
        [value("on", 9, []), value("b", 1, None)],
    )
    true = helper.make_node("Constant", [], ["true"], value=numpy_helper.from_array(np.array(True)))
    return graph_of([true, helper.make_node("Loop", ["", "true", "x"], ["y"], body=body)])


def branch() -> ModelProto:
    """Another graph for each of two cases."""
    value = helper.make_tensor_value_info
    case = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["z"])], "case", [], [value("z", 1, None)]
    )
    true = helper.make_node("Constant", [], ["true"], value=numpy_helper.from_array(np.array(True)))
    node = helper.make_node("If", ["true"], ["y"], then_branch=case, else_branch=case)
    return graph_of([true, node])


def in_file(name: str) -> TensorProto:
    """A tensor whose numbers are in another file."""
    tensor = TensorProto(name="w", data_type=1, dims=[4], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=name)
    return tensor


def elsewhere(name: str) -> ModelProto:
    """Weights that are in another file."""
    model = graph_of([helper.make_node("Add", ["x", "w"], ["y"])])
    model.graph.initializer.append(in_file(name))
    return model


def attribute_elsewhere() -> ModelProto:
    """A constant, an operator's attribute, that is in another file."""
    constant = helper.make_node("Constant", [], ["w"])
    constant.attribute.add(name="value", type=4).t.CopyFrom(in_file("/etc/passwd"))
    return graph_of([constant, helper.make_node("Add", ["x", "w"], ["y"])])
