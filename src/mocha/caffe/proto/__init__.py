"""Caffe's messages: nets, layers, weights, solvers and their states, as Protocol Buffers.

`mocha.caffe.proto.caffe_pb2` has the classes under the names that protoc gives them.
"""
