print("botburrow")
