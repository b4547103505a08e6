print("lua", arg[1], arg[2])
