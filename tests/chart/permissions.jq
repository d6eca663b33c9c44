# The rights that a rendering gives its ServiceAccount, one a line: where, resource, names, verbs.
# Roles that are bound to nobody, for clusters to aggregate, are none of them.
def where: .metadata.namespace as $namespace |
  if $namespace == null then "everywhere"
  elif $namespace == $release_namespace then "its-own-namespace"
  else "watched-namespaces" end;

map(select(.kind | endswith("RoleBinding")) | [.roleRef.kind, .roleRef.name, .metadata.namespace]) as $bound |
[ .[] |
  select([.kind, .metadata.name, .metadata.namespace] as $role | any($bound[]; . == $role)) |
  where as $where | .rules[] |
  (.apiGroups[] as $group | .resources[] |
    if $group == "" then . else (split("/") | .[0] += "." + $group | join("/")) end) as $resource |
  "\($where) \($resource) [\(.resourceNames // [] | join(" "))] [\(.verbs | join(" "))]"
] | unique[]
