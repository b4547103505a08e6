import json, os, sys
print(json.dumps({"args": sys.argv[1:], "mode": os.environ.get("MODE")}))
