module rag-operator.dev/tools/pause

go 1.24
