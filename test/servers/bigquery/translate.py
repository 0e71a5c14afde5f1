"""Reads BigQuery's SQL, one request in JSON a line, and answers with the same in PostgreSQL's.

A request has `sql`, `schemas` (datasets are schemas there) and `parameters`, which are types by name. An answer has `sql`, with $1, $2 … in
place of the `names`, and `kind`; or `error`.
"""
import json
import sys

import sqlglot
from sqlglot import exp


def column_type(kind):
    return {"STRING": "TEXT", "JSON": "JSONB", "BYTES": "BYTEA", "INT64": "BIGINT", "TIMESTAMP": "TIMESTAMPTZ"}[kind]


def translate(request):
    types = request["parameters"]
    tree = sqlglot.parse_one(request["sql"], read="bigquery")
    names = []

    def placeholder(name):
        if name not in types:
            raise ValueError(f"Query parameter '{name}' not found")
        if name not in names:
            names.append(name)
        return f"${names.index(name) + 1}"

    def parameter(node):
        name = node.name
        kind = types.get(name)
        if kind is None:
            raise ValueError(f"Query parameter '{name}' not found")
        array = isinstance(kind, dict)
        return sqlglot.parse_one(f"CAST({placeholder(name)} AS {column_type(kind['array']) if array else column_type(kind)}{'[]' if array else ''})", read="postgres")

    def rewrite(node):
        # Rows in a parameter.
        if isinstance(node, exp.Unnest) and isinstance(node.parent, (exp.From, exp.Join)) and node.expressions and isinstance(node.expressions[0], exp.Parameter):
            name = node.expressions[0].name
            columns = ", ".join(f"{column} {column_type(kind)}" for column, kind in types[name]["struct"].items())
            alias = node.args["alias"]
            alias = (alias.columns or [alias.this])[0].name
            text = f"SELECT * FROM JSON_TO_RECORDSET(CAST({placeholder(name)} AS JSON)) AS {alias}({columns})"
            return exp.Subquery(this=Raw(this=text), alias=exp.TableAlias(this=exp.to_identifier(alias)))
        # Membership of an array.
        if isinstance(node, exp.In) and node.args.get("unnest"):
            array = node.args["unnest"].expressions[0]
            return exp.EQ(this=node.this.transform(rewrite), expression=exp.Any(this=exp.Paren(this=parameter(array))))
        if isinstance(node, exp.Parameter):
            return parameter(node)
        if isinstance(node, exp.ParseJSON):
            return exp.Cast(this=node.this.transform(rewrite), to=exp.DataType.build("jsonb"))
        if isinstance(node, exp.Unhex):
            return exp.Anonymous(this="DECODE", expressions=[node.this.transform(rewrite), exp.Literal.string("hex")])
        if isinstance(node, (exp.LowerHex, exp.Hex)):
            return exp.Anonymous(this="ENCODE", expressions=[node.this.transform(rewrite), exp.Literal.string("hex")])
        if isinstance(node, exp.JSONFormat):
            return exp.Cast(this=node.this.transform(rewrite), to=exp.DataType.build("text"))
        if isinstance(node, exp.JSONExtractScalar):
            path = [exp.Literal.string(part.this) for part in node.expression.expressions if isinstance(part, exp.JSONPathKey)]
            return exp.Anonymous(this="JSONB_EXTRACT_PATH_TEXT", expressions=[node.this.transform(rewrite), *path])
        if isinstance(node, exp.DataType) and node.is_type("json"):
            return exp.DataType.build("jsonb")
        # The server has one database, and no column of it is partitioned or clustered.
        if isinstance(node, exp.Table) and node.args.get("catalog"):
            node = node.copy()
            node.set("catalog", None)
            return node
        if isinstance(node, (exp.PartitionedByProperty, exp.ClusterProperty)):
            return None
        return node

    tree = tree.transform(rewrite)
    sql = tree.sql("postgres")
    if isinstance(tree, exp.Merge):
        sql += " RETURNING merge_action()"
    return {"sql": sql, "names": names, "kind": type(tree).__name__.upper()}


class Raw(exp.Expression):
    """Text that is PostgreSQL's already."""

    arg_types = {"this": True}


from sqlglot.dialects.postgres import Postgres

Postgres.Generator.TRANSFORMS[Raw] = lambda self, node: node.this

for line in sys.stdin:
    try:
        answer = translate(json.loads(line))
    except Exception as error:  # whatever the grammar does not know
        answer = {"error": str(error)}
    print(json.dumps(answer), flush=True)
